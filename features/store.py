"""The feature store: hive folders of Parquet, a file a feature set and shard, each whole or absent.

    features/<set>/version=<fingerprint>/date=YYYY-MM-DD/<shard id>.parquet

A shard is done when its `recordings` file is there: it is written last.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.reasons import MOST_TRIES, PASSING
from data_contracts.schemas import RECORDING_FEATURES

_FILES_AT_A_TIME = 256
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
    """A date's objects as they were read last, with `shard` and `date`; see `last_read`."""
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
    """One row a URI: the newest of what was found in its bytes.

    A read that failed for a reason that passes never hides one that went well: nothing good is lost to a bad night. It
    follows a rejection that was tried again, for then the file may be gone.
    """
    order = ["read_at", "tries", "shard"]
    newest = recordings.with_columns(passing=_PASSED).sort(
        "uri", "passing", *order, descending=[False, False, True, True, False]
    )
    found = {name: pl.col(name).first().over("uri") for name in ("passing", "status", "etag", "tries")}
    again = (found["tries"] < pl.col("tries")) | (found["etag"] != pl.col("etag"))
    follows = found["passing"] | ((found["status"] != "ok") & again)
    return (
        newest.with_columns(hidden=pl.col("passing") & ~follows)
        .sort("uri", "hidden", *order, descending=[False, False, True, True, False])
        .drop("passing", "hidden")
        .unique("uri", keep="first", maintain_order=True)
    )


@dataclass(frozen=True)
class Attempts:
    """What came of reading one content, (uri, etag), as often as that was tried."""

    tries: int
    is_read: bool  # it went well
    is_settled: bool  # it was read, or has something in its bytes that another night will not mend
    worn_out: str | None  # the reason for which it failed three times

    @property
    def is_done(self) -> bool:
        """Whether a run leaves it alone unless it is told otherwise."""
        return self.is_settled or self.worn_out is not None


def attempts(lake: Lake, version: str, date: dt.date) -> dict[tuple[str, str], Attempts]:
    """`history` by (uri, etag)."""
    return by_content(history(lake, version, date))


def by_content(history: pl.DataFrame) -> dict[tuple[str, str], Attempts]:
    rows = history.select("uri", "etag", "tries", "is_read", "is_settled", "worn_out").iter_rows()
    return {(row[0], row[1]): Attempts(*row[2:]) for row in rows}


def history(lake: Lake, version: str, date: dt.date) -> pl.DataFrame:
    """A row a content (uri, etag) of a date: the fields of `Attempts`, and when its URI was last read (`read_after`).

    A try that two runs made at the same time counts once. In memory: six columns of the date's rows.
    """
    files = [path("recordings", version, date, shard) for shard in shards(lake, version, date)]
    columns = ["uri", "etag", "tries", "status", "reason", "read_at"]
    rows = pl.DataFrame(RECORDING_FEATURES.empty_table()).select(columns)
    for some in range(0, len(files), _FILES_AT_A_TIME):
        rows.extend(lake.read_files(files[some : some + _FILES_AT_A_TIME], columns).select(columns))
    key = ["uri", "etag"]
    often = pl.col("tries").n_unique() >= MOST_TRIES
    worn_out = rows.drop_nulls("reason").group_by(*key, "reason").agg(often=often).filter("often").sort("reason")
    contents = rows.group_by(key).agg(
        pl.col("tries").max(),
        is_read=(pl.col("status") == "ok").any(),
        is_settled=~_PASSED.all(),
        read_after=pl.col("read_at").max(),
    )
    worn_out = worn_out.unique(key, keep="first", maintain_order=True).select(*key, worn_out="reason")
    return contents.join(worn_out, on=key, how="left").with_columns(pl.col("read_after").max().over("uri"))


def members(lake: Lake, version: str, date: dt.date) -> dict[tuple[str, str], str]:
    """Which shard holds (uri, etag): a forced run writes the same shards again instead of packing new ones beside."""
    frame = recordings(lake, version, date).select("uri", "etag", "shard").collect()
    return {(uri, etag): shard for uri, etag, shard in frame.iter_rows()}


def read(lake: Lake, feature_set: str, version: str, date: dt.date, shard: str) -> pa.Table:
    """A shard's rows of one feature set. Raises FileNotFoundError."""
    return lake.read_parquet(path(feature_set, version, date, shard))
