"""The feature store: hive folders of Parquet, a file a feature set and shard, each whole or absent.

    features/<set>/version=<fingerprint>/date=YYYY-MM-DD/<shard id>.parquet

A shard is done when its `recordings` file is there: it is written last. Old dates are packed (`features.store.packs`),
many shards in a file: nobody who asks here for a shard sees a difference.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.lake.pack_index import is_pack
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from features.store import packs

_BATCH_FILES = 256
_MAX_ATTEMPTS = 8  # a packer takes loose files away, which are then in a pack, and a forced run takes packs apart
_PAUSE_S = 0.02  # after the first look, and longer after each that follows
T = TypeVar("T")


def folder(feature_set: str, version: str, date: dt.date) -> str:
    return f"features/{feature_set}/version={version}/date={date.isoformat()}"


def path(feature_set: str, version: str, date: dt.date, shard: str) -> str:
    return f"{folder(feature_set, version, date)}/{shard}.parquet"


def write_shard(
    lake: Lake, tables: Mapping[str, pa.Table], *, version: str, date: dt.date, shard: str, configuration: str
) -> None:
    """Writes a shard's feature sets, `recordings` last. Doing it twice changes nothing."""
    metadata = {"undertone.feature_version": version, "undertone.configuration": configuration}
    for feature_set in sorted(tables, key=lambda name: name == "recordings"):
        lake.write_parquet(path(feature_set, version, date, shard), tables[feature_set], metadata)


def shards(lake: Lake, version: str, date: dt.date) -> list[str]:
    """The ids of a date's finished shards."""
    return sorted(_retry_vanished(lambda: _locate_shards(lake, version, date)))


def is_done(lake: Lake, version: str, date: dt.date, shard: str) -> bool:
    place = folder("recordings", version, date)
    return (
        lake.exists(f"{place}/{shard}.parquet")
        or _retry_vanished(lambda: packs.find_pack(lake, place, shard)) is not None
    )


def versions(lake: Lake, feature_set: str = "recordings") -> list[str]:
    """The feature versions that the store holds anything of."""
    names = lake.names(f"features/{feature_set}")
    return [name.removeprefix("version=") for name in names if name.startswith("version=")]


def dates(lake: Lake, version: str) -> list[dt.date]:
    """The dates that the store holds anything of."""
    names = lake.names(f"features/recordings/version={version}")
    return sorted(dt.date.fromisoformat(name.removeprefix("date=")) for name in names if name.startswith("date="))


def rows(lake: Lake, version: str, date: dt.date, columns: list[str] | None = None) -> pl.DataFrame:
    """Every row of a date's `recordings`, all tries, with the `shard` of each; of a shard written twice, the newer."""
    return _retry_vanished(lambda: _read_rows(lake, version, date, columns))


def read(
    lake: Lake, feature_set: str, version: str, date: dt.date, shard: str, columns: list[str] | None = None
) -> pa.Table:
    """A shard's rows of one feature set. Raises FileNotFoundError."""
    place = folder(feature_set, version, date)

    def loose_or_packed() -> pa.Table:
        try:
            return lake.read_parquet(f"{place}/{shard}.parquet", columns)
        except FileNotFoundError:
            return packs.read(lake, place, shard, columns)

    return _retry_vanished(loose_or_packed)


def _locate_shards(lake: Lake, version: str, date: dt.date) -> dict[str, str | None]:
    """A date's shards, and the pack that holds each; None where it has a file of its own, which wins over any pack."""
    place = folder("recordings", version, date)
    names = lake.names(place)  # loose files sort before packs, and are listed before them
    found: dict[str, str | None] = {}
    for name in filter(is_pack, names):
        found |= dict.fromkeys(packs.list_shards(lake, f"{place}/{name}"), f"{place}/{name}")
    return found | {name.removesuffix(".parquet"): None for name in names if not is_pack(name)}


def _read_rows(lake: Lake, version: str, date: dt.date, columns: list[str] | None) -> pl.DataFrame:
    wanted = columns or RECORDING_FEATURES.names
    places = _locate_shards(lake, version, date)
    frames = [pl.DataFrame(RECORDING_FEATURES.empty_table()).with_columns(shard=pl.lit("", pl.String))]
    loose = [path("recordings", version, date, shard) for shard, pack in sorted(places.items()) if pack is None]
    for first in range(0, len(loose), _BATCH_FILES):
        found = lake.read_files(loose[first : first + _BATCH_FILES], columns)
        frames.append(found.with_columns(shard=pl.col("path").str.extract(r"([0-9a-f]+)\.parquet$")).drop("path"))
    for pack in sorted({pack for pack in places.values() if pack}):
        for shard, table in packs.tables(lake, pack, wanted):
            if places[shard] == pack:
                frames.append(pl.DataFrame(table).with_columns(shard=pl.lit(shard)))
    return pl.concat(frame.select(*wanted, "shard") for frame in frames)


def _retry_vanished(look: Callable[[], T]) -> T:
    """What a look at the store found; again where a file that was listed went into a pack before it was read."""
    for number in range(1, _MAX_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return look()
        time.sleep(_PAUSE_S * number)
    return look()
