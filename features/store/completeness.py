"""Completeness of a date's shards, by listings and footers of packs: each has a file, or a pack's rows, in every set.

A shard counts as done by its file of `recordings`. Where another hand took a file of another set away, or cut it, only
a stage that reads it would notice.
"""

import contextlib
import datetime as dt
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from data_contracts.lake.feature_files import cut_files
from data_contracts.lake.names import is_feature_file, is_pack
from features.store import history, packs, shard_files

_ALWAYS = {"recordings", "segments", "egemaps", "embeddings"}  # every stage after extraction reads these
_N_THREADS = 8
_MAX_ATTEMPTS = 5


@dataclass
class Damage:
    """Shards of a date that lack a file, with the paths of those; and files that are there and cannot be read."""

    missing: dict[str, list[str]] = field(default_factory=dict)  # by shard
    unreadable: list[str] = field(default_factory=list)

    @property
    def unreadable_recordings(self) -> list[str]:
        """Files without which nobody knows what the date's shards hold."""
        return [path for path in self.unreadable if path.startswith("features/recordings/")]

    @property
    def paths(self) -> list[str]:
        return sorted({*self.unreadable, *(path for found in self.missing.values() for path in found)})


def expected_sets(lake: Lake, version: str) -> list[str]:
    """Return the feature sets that each shard of a version has, `recordings` first."""
    stored = {name for name in shard_files.feature_sets(lake) if version in shard_files.versions(lake, name)}
    return sorted(_ALWAYS | stored, key=lambda name: (name != "recordings", name))


def find_damage(lake: Lake, version: str, date: dt.date, sets: Sequence[str]) -> Damage:
    """Hold the shards of a date against the files of each of `sets`; no file is read but the footers of packs.

    In a folder the last bytes of each file tell whether it was cut; in an object store its size alone.
    """
    first, *others = sets
    done, unreadable = _held(lake, first, version, date)  # before the others: a shard's file of it is written last
    damage = Damage(unreadable=unreadable)
    if not done:
        return damage
    with ThreadPoolExecutor(len(others), thread_name_prefix="complete") as pool:
        found = pool.map(lambda feature_set: _held(lake, feature_set, version, date), others)
    for feature_set, (shards, unreadable) in zip(others, found, strict=True):
        damage.unreadable += unreadable
        for shard in sorted(done - shards):
            damage.missing.setdefault(shard, []).append(shard_files.path(feature_set, version, date, shard))
    if (
        damage.missing and not damage.unreadable_recordings
    ):  # of a shard whose members were all read again, none is needed
        current = set(history.shard_members(lake, version, date)["shard"])
        damage.missing = {shard: paths for shard, paths in damage.missing.items() if shard in current}
    return damage


def find_damage_on(lake: Lake, version: str, dates: Iterable[dt.date]) -> dict[dt.date, Damage]:
    """Return the damage of each date that has any, several dates at a time."""
    sets = expected_sets(lake, version)
    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="date") as pool:
        found = pool.map(lambda date: (date, find_damage(lake, version, date, sets)), dates)
        return {date: damage for date, damage in found if damage.paths}


def _held(lake: Lake, feature_set: str, version: str, date: dt.date) -> tuple[set[str], list[str]]:
    """The shards that one feature set holds, and its files that cannot be read."""
    for _ in range(_MAX_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):  # a packer replaced a pack: listed again
            return _list_held(lake, shard_files.folder(feature_set, version, date))
    return _list_held(lake, shard_files.folder(feature_set, version, date))


def _list_held(lake: Lake, folder: str) -> tuple[set[str], list[str]]:
    sizes = {path: size for path, size in lake.sizes(folder).items() if is_feature_file(path[len(folder) + 1 :])}
    unreadable = cut_files(lake, sizes)
    shards = set[str]()
    for path in sizes.keys() - set(unreadable):
        name = path.rsplit("/", 1)[-1]
        if not is_pack(name):
            shards.add(name.removesuffix(".parquet"))
            continue
        try:
            shards.update(packs.list_shards(lake, path))
        except DamagedFile:
            unreadable.append(path)
    return shards, sorted(unreadable)
