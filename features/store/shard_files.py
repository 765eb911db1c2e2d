"""Feature files: hive folders of Parquet, one file for each feature set and shard, written whole.

    features/<set>/version=<fingerprint>/date=YYYY-MM-DD/<shard id>.parquet

A shard is done when its `recordings` file exists: it is written last. Old dates are packed (`features.store.packs`),
many shards in a file; the functions of this module read both alike.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.lake.damage import missing_file
from data_contracts.lake.names import date_in, is_feature_file, is_feature_set, is_pack, version_in
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from features.store import packs

_BATCH_FILES = 256
_MAX_ATTEMPTS = 8  # a packer moves loose files into a pack, and a forced run moves them back
_PAUSE_S = 0.02  # after the first attempt; longer after each that follows
T = TypeVar("T")


def folder(feature_set: str, version: str, date: dt.date) -> str:
    return f"features/{feature_set}/version={version}/date={date.isoformat()}"


def path(feature_set: str, version: str, date: dt.date, shard: str) -> str:
    return f"{folder(feature_set, version, date)}/{shard}.parquet"


def write_shard(
    lake: Lake, tables: Mapping[str, pa.Table], *, version: str, date: dt.date, shard: str, configuration: str
) -> None:
    """Write a shard's feature sets, `recordings` last. Idempotent."""
    metadata = {"undertone.feature_version": version, "undertone.configuration": configuration}
    for feature_set in sorted(tables, key=lambda name: name == "recordings"):
        lake.write_parquet(path(feature_set, version, date, shard), tables[feature_set], metadata)


def shards(lake: Lake, version: str, date: dt.date) -> list[str]:
    """List the ids of a date's finished shards."""
    return sorted(_retry_vanished(lambda: _locate_shards(lake, version, date)))


def is_done(lake: Lake, version: str, date: dt.date, shard: str, feature_set: str = "recordings") -> bool:
    """Tell whether a shard is done, or one of its feature sets is there."""
    directory = folder(feature_set, version, date)
    return (
        lake.exists(f"{directory}/{shard}.parquet")
        or _retry_vanished(lambda: packs.find_pack(lake, directory, shard)) is not None
    )


def feature_sets(lake: Lake) -> list[str]:
    """List the feature sets in the store."""
    return list(filter(is_feature_set, lake.names("features")))


def versions(lake: Lake, feature_set: str = "recordings") -> list[str]:
    """List the feature versions in the store."""
    found = map(version_in, lake.names(f"features/{feature_set}"))
    return [version for version in found if version is not None]


def dates(lake: Lake, version: str) -> list[dt.date]:
    """List the dates in the store."""
    found = map(date_in, lake.names(f"features/recordings/version={version}"))
    return sorted(date for date in found if date is not None)


def rows(lake: Lake, version: str, date: dt.date, columns: list[str] | None = None) -> pl.DataFrame:
    """Read every row of a date's `recordings`, all tries, with its `shard`; of a shard written twice, the newer."""
    return _retry_vanished(lambda: _read_rows(lake, version, date, columns))


def read(
    lake: Lake, feature_set: str, version: str, date: dt.date, shard: str, columns: list[str] | None = None
) -> pa.Table:
    """Read a shard's rows of one feature set. Raises DamagedFile where they are gone, or are no rows any more."""
    directory = folder(feature_set, version, date)

    def read_once() -> pa.Table:
        try:
            return lake.read_parquet(f"{directory}/{shard}.parquet", columns)
        except FileNotFoundError:
            return packs.read(lake, directory, shard, columns)

    try:
        return _retry_vanished(read_once)
    except FileNotFoundError as error:
        expected = f"the {feature_set} of shard {shard}, or a pack with them beside it,"
        raise missing_file(lake.uri, f"{directory}/{shard}.parquet", expected) from error


def _locate_shards(lake: Lake, version: str, date: dt.date) -> dict[str, str | None]:
    """Return the pack of each shard of a date; None for a shard in a loose file, which takes precedence."""
    directory = folder("recordings", version, date)
    names = list(
        filter(is_feature_file, lake.names(directory))
    )  # loose files sort before packs, and are listed before them
    found: dict[str, str | None] = {}
    for name in filter(is_pack, names):
        found |= dict.fromkeys(packs.list_shards(lake, f"{directory}/{name}"), f"{directory}/{name}")
    return found | {name.removesuffix(".parquet"): None for name in names if not is_pack(name)}


def _read_rows(lake: Lake, version: str, date: dt.date, columns: list[str] | None) -> pl.DataFrame:
    wanted = columns or RECORDING_FEATURES.names
    packs_by_shard = _locate_shards(lake, version, date)
    frames = [pl.DataFrame(RECORDING_FEATURES.empty_table()).with_columns(shard=pl.lit("", pl.String))]
    loose = [path("recordings", version, date, shard) for shard, pack in sorted(packs_by_shard.items()) if pack is None]
    for first in range(0, len(loose), _BATCH_FILES):
        found = lake.read_files(loose[first : first + _BATCH_FILES], columns)
        frames.append(found.with_columns(shard=pl.col("path").str.extract(r"([0-9a-f]+)\.parquet$")).drop("path"))
    for pack in sorted({pack for pack in packs_by_shard.values() if pack}):
        for shard, table in packs.tables(lake, pack, wanted):
            if packs_by_shard[shard] == pack:
                frames.append(pl.DataFrame(table).with_columns(shard=pl.lit(shard)))
    return pl.concat(frames, how="diagonal").select(*wanted, "shard")  # an earlier version lacks columns


def _retry_vanished(read: Callable[[], T]) -> T:
    """Return the result of `read`, retried where a file that was listed moved into a pack before it was read."""
    for number in range(1, _MAX_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return read()
        time.sleep(_PAUSE_S * number)
    return read()
