"""Attempts at the objects of a date: the newest result of each, and how often each was read.

An object is read again after it changed, or failed for a reason that passes; every attempt is a row of `recordings`.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from data_contracts.lake import Lake
from data_contracts.rejects import MAX_TRIES, RETRYABLE
from features.store.shard_files import rows

_ATTEMPT_COLUMNS = ["uri", "etag", "tries", "status", "reason", "read_at"]
_IS_RETRYABLE = pl.col("reason").is_in([str(reason) for reason in RETRYABLE]).fill_null(False)


def recordings(lake: Lake, version: str, date: dt.date) -> pl.LazyFrame:
    """A date's objects as they were read last, with `shard` and `date`; see `latest_per_uri`."""
    return rows(lake, version, date).lazy().with_columns(date=pl.lit(date)).pipe(latest_per_uri)


def latest_per_uri(recordings: pl.LazyFrame) -> pl.LazyFrame:
    """One row a URI: the newest of what was found in its bytes.

    A read that failed for a reason that passes never hides one that went well: nothing good is lost to a bad night. It
    follows a rejection that was tried again, for then the file may be gone.
    """
    order = ["read_at", "tries", "shard"]
    newest = recordings.with_columns(passing=_IS_RETRYABLE).sort(
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
    found = history(lake, version, date).select("uri", "etag", "tries", "is_read", "is_settled", "worn_out").iter_rows()
    return {(row[0], row[1]): Attempts(*row[2:]) for row in found}


def history(lake: Lake, version: str, date: dt.date) -> pl.DataFrame:
    """A row a content (uri, etag) of a date: the fields of `Attempts`, and when its URI was last read (`read_after`).

    A try that two runs made at the same time counts once. In memory: six columns of the date's rows.
    """
    tried = rows(lake, version, date, _ATTEMPT_COLUMNS)
    key = ["uri", "etag"]
    often = pl.col("tries").n_unique() >= MAX_TRIES
    worn_out = tried.drop_nulls("reason").group_by(*key, "reason").agg(often=often).filter("often").sort("reason")
    contents = tried.group_by(key).agg(
        pl.col("tries").max(),
        is_read=(pl.col("status") == "ok").any(),
        is_settled=~_IS_RETRYABLE.all(),
        read_after=pl.col("read_at").max(),
    )
    worn_out = worn_out.unique(key, keep="first", maintain_order=True).select(*key, worn_out="reason")
    return contents.join(worn_out, on=key, how="left").with_columns(pl.col("read_after").max().over("uri"))


def shard_members(lake: Lake, version: str, date: dt.date) -> pl.DataFrame:
    """Which `shard` holds (uri, etag): a forced run writes the same shards again instead of packing new ones beside."""
    tried = rows(lake, version, date, _ATTEMPT_COLUMNS).lazy()
    return latest_per_uri(tried).select("uri", "etag", "shard").collect()
