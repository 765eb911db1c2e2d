"""Compaction of a date's small feature files into few packs, without a moment at which rows are lost.

The packs are written first, of `recordings` last. Then the files that they replace are removed, packs before loose
files: a loose file is always right. A crash in between leaves rows that plain readers see twice, and our readers once;
the next compaction removes them.
"""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.lake.names import is_feature_file, is_pack
from features.store import packs, shard_files
from features.store.packs import Packer

TARGET_BYTES = 128_000_000
MAX_SHARDS = 200  # in a pack: reading one shard fetches the footer of all

Files = dict[str, tuple[int, Any]]
"""Size and stamp by file name; a rewritten file gets another stamp."""


@dataclass
class Tally:
    """Files and bytes before and after compaction, and the seconds of work."""

    n_files: int = 0
    n_bytes: int = 0
    n_files_after: int = 0
    n_bytes_after: int = 0
    seconds: float = 0.0

    def __iadd__(self, other: "Tally") -> "Tally":
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


def compact(
    lake: Lake, version: str, date: dt.date, *, target_bytes: int = TARGET_BYTES, dry_run: bool = False
) -> dict[str, Tally]:
    """Pack the small files of a date's finished shards. Returns by feature set the change made, or to be made.

    A file that is rewritten meanwhile stays beside the pack and takes precedence, until the next compaction.
    """
    sets = sorted(shard_files.feature_sets(lake), key=lambda name: name == "recordings")
    by_set = {name: files for name in sets if (files := _list_files(lake, shard_files.folder(name, version, date)))}
    if all(is_pack(file) for files in by_set.values() for file in files):
        return {name: _unchanged(files) for name, files in by_set.items()}
    done = frozenset(shard_files.shards(lake, version, date))
    return {
        name: _compact(lake, shard_files.folder(name, version, date), files, done, target_bytes, dry_run=dry_run)
        for name, files in by_set.items()
    }


def _compact(lake: Lake, folder: str, files: Files, done: frozenset[str], target_bytes: int, *, dry_run: bool) -> Tally:
    started, tally = time.perf_counter(), _unchanged(files)
    selected = _select_files(lake, folder, files, done, target_bytes)
    if selected and dry_run:
        n_packs = -(-sum(files[name][0] for name in selected) // target_bytes)
        tally.n_files_after = len(files) - len(selected) + n_packs
    elif selected:
        _pack(lake, folder, files, selected, target_bytes)
        after = _list_files(lake, folder)
        tally.n_files_after, tally.n_bytes_after = len(after), _total_bytes(after)
    tally.seconds = time.perf_counter() - started
    return tally


def _unchanged(files: Files) -> Tally:
    return Tally(len(files), _total_bytes(files), len(files), _total_bytes(files))


def _list_files(lake: Lake, folder: str) -> Files:
    try:
        found = lake.retry_policy.call(
            f"listing {lake.uri_of(folder)}", lambda: lake.fs.ls(f"{lake.path}/{folder}", detail=True)
        )
    except FileNotFoundError:
        return {}
    infos = {info["name"].rsplit("/", 1)[-1]: info for info in found if info["type"] == "file"}
    return {
        name: (int(info["size"]), info.get("ETag") or info.get("etag") or info.get("mtime"))
        for name, info in sorted(infos.items())
        if is_feature_file(name)
    }


def _total_bytes(files: Files) -> int:
    return sum(n_bytes for n_bytes, _ in files.values())


def _select_files(lake: Lake, folder: str, files: Files, done: frozenset[str], target_bytes: int) -> list[str]:
    """Select small files, where packing leaves fewer, and packs with a shard that another file holds too."""
    loose = {_shard_id(name): name for name in files if not is_pack(name)}
    if not loose:
        return []  # all is packed
    seen, small, outdated = set(loose), set[str](), set[str]()
    for name in filter(is_pack, files):
        shards = set(packs.list_shards(lake, f"{folder}/{name}"))
        if shards & seen:
            outdated.add(name)
        elif files[name][0] < target_bytes / 2 and len(shards) < MAX_SHARDS / 2:
            small.add(name)
        seen |= shards
    small |= {name for shard, name in loose.items() if shard in done and files[name][0] < target_bytes / 2}
    return sorted(small | outdated) if outdated or len(small) > 1 else []


def _pack(lake: Lake, folder: str, files: Files, selected: list[str], target_bytes: int) -> None:
    made: dict[str, list[str]] = {}
    for packer in _packers(lake, folder, files, selected, target_bytes):
        loose = [name for shard in packer.shards if (name := f"{shard}.parquet") in files]
        if len(packer.shards) == 1 and loose:
            continue  # no other has its schema: it stays a loose file
        name, data = packer.finish()
        now = _list_files(lake, folder)
        if any(now.get(other) != files[other] for other in selected):
            return  # another run writes here: left to the next compaction
        if name not in files:
            lake.write(f"{folder}/{name}", data)
        made[name] = packer.shards
    _remove(lake, [f"{folder}/{name}" for name in selected if is_pack(name) and name not in made])
    packed = {shard for shards in made.values() for shard in shards}
    now = _list_files(lake, folder)
    gone = [name for name in selected if _shard_id(name) in packed and now.get(name) == files[name]]
    _remove(lake, [f"{folder}/{name}" for name in gone])


def _packers(lake: Lake, folder: str, files: Files, selected: list[str], target_bytes: int) -> Iterator[Packer]:
    """Yield packs as they fill up, each of one schema, metadata with the configuration included."""
    filling: dict[bytes, Packer] = {}
    for shard, table in _tables(lake, folder, files, selected):
        kind = table.schema.serialize().to_pybytes()
        packer = filling.setdefault(kind, Packer(table.schema))
        packer.add(shard, table)
        if packer.n_bytes >= target_bytes or len(packer.shards) >= MAX_SHARDS:
            yield filling.pop(kind)
    yield from filling.values()


def _tables(lake: Lake, folder: str, files: Files, selected: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yield each shard of the selected files once, and none that another file holds."""
    seen = {_shard_id(name) for name in files if not is_pack(name)}
    for name in filter(is_pack, set(files) - set(selected)):
        seen |= set(packs.list_shards(lake, f"{folder}/{name}"))
    for name in selected:
        if not is_pack(name):
            yield _shard_id(name), lake.read_parquet(f"{folder}/{name}")
            continue
        for shard, table in packs.tables(lake, f"{folder}/{name}"):
            if shard not in seen:
                seen.add(shard)
                yield shard, table


def _shard_id(name: str) -> str:
    return name.removesuffix(".parquet")


def _remove(lake: Lake, paths: list[str]) -> None:
    if lake.is_local:
        for path in paths:
            lake.remove(path)
    elif paths:
        lake.retry_policy.call(
            f"removing {len(paths)} files below {lake.uri}",
            lambda: lake.fs.rm([f"{lake.path}/{path}" for path in paths]),
        )
