"""Maintenance: many small files become few, and older versions of tables go, so that a year of nights is quickly asked.

Killed at any point it is run again: what is compacted stays so.
"""

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from data_contracts.published import point, published, versions
from data_contracts.schemas import TABLE_KEYS
from features import store
from features.compaction import Tally, compact
from tasks import run_staging_paths as paths
from tasks.publication_publish import alone
from tasks.publication_roll_forward import finish_the_dead
from tasks.stage import stage
from tasks.upkeep import Upkeep, files_below, n_bytes, newest

MOST_KEPT_DAYS = 30  # Delta's log is kept for so long, and no version without it
_TOMBSTONE_DAYS = 7  # Delta remembers for so long which files a version replaced
_DELTA_TARGET_BYTES = 100 << 20  # delta-rs's own
_AT_ONCE = 4  # dates that are packed at a time: each holds a pack in memory
_ALIVE = dt.timedelta(days=1)


@stage
def tidy_tables(lake: Lake, *, keep_versions_days: int, dry_run: bool) -> list[Upkeep]:
    """Compacts every analytics table, removes what only older versions held, and shortens the log.

    Under the publish lock, so that no publication is disturbed; one that died on its way is finished first, for it
    builds upon the versions that it saw. Readers of the versions of the last days, and of the one that is pinned as
    published, go on reading.
    """
    if dry_run:
        return [_tidy(lake, name, delta, keep_versions_days, dry_run=True) for name, delta in _tables(lake)]
    with alone(lake, "maintain") as held:
        finish_the_dead(held)
        lines = [_tidy(lake, name, delta, keep_versions_days, dry_run=False) for name, delta in _tables(lake)]
        run_id = published(lake).run_id
        if run_id is not None:
            point(
                lake, run_id, versions(lake)
            )  # to the versions of now: they hold what the pinned ones do, in fewer files
    return lines


@stage
def pack_features(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> list[Upkeep]:
    """Packs the small feature files of every date that is older, several dates at a time."""
    sums, busy = defaultdict[str, Tally](Tally), _being_written(lake, now)
    last = now.date() - dt.timedelta(days=older_than_days)
    places = [
        (version, date)
        for version in store.versions(lake)
        for date in store.dates(lake, version)
        if date < last and (version, date) not in busy
    ]

    def pack(place: tuple[str, dt.date]) -> dict[str, Tally]:
        try:
            return compact(lake, *place, dry_run=dry_run)
        except FileNotFoundError:  # another maintenance is at it
            return {}

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pack") as pool:
        for tallies in pool.map(pack, places):
            for feature_set, tally in tallies.items():
                sums[feature_set] += tally
    return [_packed(name, tally, dry_run=dry_run) for name, tally in sorted(sums.items())]


def running(lake: Lake, now: dt.datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The staging folders of runs that gave a sign of life within a day, with their ledgers."""
    for run_id in paths.run_ids(lake):
        folder = paths.folder(run_id)
        try:
            ledger = lake.read_json(paths.ledger(run_id))
        except FileNotFoundError:  # it was published this moment
            continue
        if ledger.get("status") == "running" and now - newest(files_below(lake, folder)) < _ALIVE:
            yield folder, ledger


def _being_written(lake: Lake, now: dt.datetime) -> set[tuple[str, dt.date]]:
    """Feature version and date of what runs have planned: a forced one writes its shards again."""
    return {
        (ledger["feature_version"], dt.date.fromisoformat(name.removeprefix("date=")))
        for folder, ledger in running(lake, now)
        for name in lake.names(f"{folder}/plan")
    }


def _packed(feature_set: str, tally: Tally, *, dry_run: bool) -> Upkeep:
    few = tally.n_files == tally.n_files_after
    did = "packed already" if few else "would be packed" if dry_run else "packed"
    counts = (tally.n_files, tally.n_files_after, tally.n_bytes, tally.n_bytes_after)
    return Upkeep(f"features/{feature_set}", did, *counts, tally.seconds)


def _tables(lake: Lake) -> Iterator[tuple[str, DeltaTable]]:
    for name in TABLE_KEYS:
        delta = lake.delta(name)
        if delta is not None:
            yield name, delta


def _tidy(lake: Lake, table: str, delta: DeltaTable, keep_days: int, *, dry_run: bool) -> Upkeep:
    started, before = time.perf_counter(), _sizes(delta)
    try:
        if dry_run:
            after = _compacted(before)
        else:
            delta.optimize.compact(commit_properties=CommitProperties(custom_metadata={"undertone.flow": "maintain"}))
            after = _sizes(delta)["size_bytes"].to_list()
        n_gone, gone_bytes = _vacuum(lake, table, delta, keep_days, dry_run=dry_run)
        if not dry_run:
            _shorten_log(lake, table, delta)
    except DeltaError as error:
        raise LakeError(
            f"maintaining {lake.at('analytics', table)}: {error}; what was done stays, run it again"
        ) from error
    did = [] if len(before) == len(after) else ["would be compacted" if dry_run else "compacted"]
    if n_gone:
        did.append(f"{n_gone} old files{' would be' if dry_run else ''} removed ({gone_bytes / 1e6:,.1f} MB)")
    counts = (len(before), len(after), sum(before["size_bytes"].to_list()), sum(after))
    return Upkeep(f"analytics/{table}", ", ".join(did) or "as it was", *counts, time.perf_counter() - started)


def _sizes(delta: DeltaTable) -> pl.DataFrame:
    """A row a file of the newest version: its bytes, and its partition."""
    files = pl.DataFrame(delta.get_add_actions(flatten=True))
    return files.select("size_bytes", *(name for name in files.columns if name.startswith("partition.")))


def _compacted(files: pl.DataFrame) -> list[int]:
    """About the sizes that compaction would leave: the small files of a partition become few."""
    parts = [name for name in files.columns if name != "size_bytes"]
    after: list[int] = []
    groups = files.partition_by(parts) if parts else [files]
    for group in groups:
        small = group.filter(pl.col("size_bytes") < _DELTA_TARGET_BYTES)["size_bytes"]
        after += group.filter(pl.col("size_bytes") >= _DELTA_TARGET_BYTES)["size_bytes"].to_list()
        n = -(-int(small.sum()) // _DELTA_TARGET_BYTES)
        after += [int(small.sum()) // n] * n if n else []
    return after


def _vacuum(lake: Lake, table: str, delta: DeltaTable, keep_days: int, *, dry_run: bool) -> tuple[int, int]:
    """Removes the files that no version of the last days needs. Returns how many there are, and their bytes.

    In full: Delta forgets after a week which files it replaced, and would leave those for ever. It names files that are
    gone already, and writes down that it removed them again: so it is asked first.
    """
    how: dict[str, Any] = {
        "retention_hours": keep_days * 24,
        "enforce_retention_duration": False,
        "full": True,
        "keep_versions": _kept(lake, table, delta, keep_days),
    }
    folder = f"analytics/{table}"
    held = files_below(lake, folder)
    named = {path.rsplit(f"{folder}/", 1)[-1] for path in delta.vacuum(dry_run=True, **how)}
    gone = {path: held[path] for name in named if (path := f"{folder}/{name}") in held}
    if gone and not dry_run:
        delta.vacuum(dry_run=False, **how)
    return len(gone), n_bytes(gone)


def _kept(lake: Lake, table: str, delta: DeltaTable, keep_days: int) -> list[int] | None:
    """Versions that stay whatever their age: the pinned one, and all of those days where Delta remembers fewer."""
    commits = delta.history()
    versions = {int(commit["version"]) for commit in commits}
    kept = set[int]()
    pinned = published(lake).versions.get(table)
    if pinned is not None:
        kept.add(pinned)
    if keep_days > _TOMBSTONE_DAYS:
        since = (dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)).timestamp() * 1000
        young = {int(commit["version"]) for commit in commits if commit["timestamp"] >= since}
        kept |= young | {max(versions - young, default=-1)}  # the last is what was seen when those days began
    return sorted(kept & versions) or None


def _shorten_log(lake: Lake, table: str, delta: DeltaTable) -> None:
    """A checkpoint at the newest version, where there is none; then the commits before it that are past a month go."""
    last = f"analytics/{table}/_delta_log/_last_checkpoint"
    if not lake.exists(last) or lake.read_json(last)["version"] != delta.version():
        delta.create_checkpoint()
    delta.cleanup_metadata()
