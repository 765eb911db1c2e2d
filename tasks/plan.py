"""Stage 2: shards by audio bytes, named by what they hold."""

import datetime as dt

from data_contracts.records import AudioObject, ShardRef
from features import shards, store
from tasks.discover import Found, found_path
from tasks.run import Run
from tasks.stage import stage


@stage
def plan(run: Run, found: Found, *, n_workers: int) -> list[ShardRef]:
    """Packs what was found, date by date, and writes the shards down. What was done before is never packed again."""
    most = shards.shard_bytes(found.n_bytes, n_workers=n_workers, most=run.shard_bytes)
    refs = []
    for date in found.dates:
        rows = run.lake.read_parquet(found_path(run, date)).to_pylist()
        fresh = [AudioObject(date=date, **row) for row in rows]
        done, fresh = _whole_shards(run, date, fresh) if run.force else ({}, fresh)
        packed = {shards.shard_id(part, run.feature_version): part for part in shards.pack(fresh, most_bytes=most)}
        for shard, members in {**done, **packed}.items():
            refs.append(shards.write_plan(run.lake, f"{run.staging}/plan", members, shard=shard))
    return refs


def _whole_shards(
    run: Run, date: dt.date, items: list[AudioObject]
) -> tuple[dict[str, list[AudioObject]], list[AudioObject]]:
    """A forced run writes a shard again in place if all its members are still there; the rest is packed anew."""
    home = store.members(run.lake, run.feature_version, date)
    listed = {(item.uri, item.etag): item for item in items}
    groups: dict[str, list[tuple[str, str]]] = {}
    for member, shard in home.items():
        groups.setdefault(shard, []).append(member)
    whole = {
        shard: [listed[member] for member in members]
        for shard, members in groups.items()
        if all(member in listed for member in members)
    }
    kept = {(item.uri, item.etag) for members in whole.values() for item in members}
    return whole, [item for item in items if (item.uri, item.etag) not in kept]
