"""The feature store: hive folders of Parquet, a file a feature set and shard, each whole or absent.

    features/<set>/version=<fingerprint>/date=YYYY-MM-DD/<shard id>.parquet

A shard is done when its `recordings` file is there: it is written last.
"""

import datetime as dt
from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.reasons import PASSING
from data_contracts.schemas import RECORDING_FEATURES

MOST_TRIES = 3
_PASSED = pl.col("reason").is_in([str(reason) for reason in PASSING]).fill_null(False)


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
    return [name.removesuffix(".parquet") for name in lake.names(folder("recordings", version, date))]


def is_done(lake: Lake, version: str, date: dt.date, shard: str) -> bool:
    return lake.exists(path("recordings", version, date, shard))


def dates(lake: Lake, version: str) -> list[dt.date]:
    """The dates that the store holds anything of."""
    names = lake.names(f"features/recordings/version={version}")
    return sorted(dt.date.fromisoformat(name.removeprefix("date=")) for name in names if name.startswith("date="))


def recordings(lake: Lake, version: str, date: dt.date) -> pl.LazyFrame:
    """A date's objects as they were read last, with `shard` and `date`.

    A read that failed for a reason that passes never hides one that did not: nothing good is lost to a bad night.
    """
    files = [path("recordings", version, date, shard) for shard in shards(lake, version, date)]
    if not files:
        empty = pl.DataFrame(RECORDING_FEATURES.empty_table())
        return empty.lazy().with_columns(shard=pl.lit("", pl.String), date=pl.lit(date))
    return (
        lake.read_files(files)
        .lazy()
        .with_columns(
            shard=pl.col("path").str.extract(r"([0-9a-f]+)\.parquet$"),
            date=pl.lit(date),
        )
        .drop("path")
        .pipe(last_read)
    )


def last_read(recordings: pl.LazyFrame) -> pl.LazyFrame:
    """One row a URI."""
    return (
        recordings.with_columns(passing=_PASSED)
        .sort("uri", "passing", "read_at", "tries", "shard", descending=[False, False, True, True, False])
        .drop("passing")
        .unique("uri", keep="first", maintain_order=True)
    )


def known(lake: Lake, version: str, date: dt.date) -> dict[tuple[str, str], int]:
    """Of a date, (uri, etag) of what needs no reading any more: -1; of what may be tried again: the tries so far."""
    files = [path("recordings", version, date, shard) for shard in shards(lake, version, date)]
    if not files:
        return {}
    seen = lake.read_files(files).group_by("uri", "etag").agg(pl.col("tries").max(), again=_PASSED.all())
    return {
        (uri, etag): tries if again and tries < MOST_TRIES else -1
        for uri, etag, tries, again in seen.select("uri", "etag", "tries", "again").iter_rows()
    }


def members(lake: Lake, version: str, date: dt.date) -> dict[tuple[str, str], str]:
    """Which shard holds (uri, etag): a forced run writes the same shards again instead of packing new ones beside."""
    frame = recordings(lake, version, date).select("uri", "etag", "shard").collect()
    return {(uri, etag): shard for uri, etag, shard in frame.iter_rows()}


def read(lake: Lake, feature_set: str, version: str, date: dt.date, shard: str) -> pa.Table:
    """A shard's rows of one feature set. Raises FileNotFoundError."""
    return lake.read_parquet(path(feature_set, version, date, shard))
