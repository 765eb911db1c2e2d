"""History of reads: the newest result of each object of a date, and the attempts at each content.

An object is read again after it changed, or failed for a retryable reason; every attempt is a row of `recordings`.
"""

import datetime as dt

import polars as pl

from data_contracts.lake import Lake
from data_contracts.rejects import MAX_TRIES, RETRYABLE, Reason
from features.store.shard_files import rows

_ATTEMPT_COLUMNS = ["uri", "etag", "tries", "status", "reason", "read_at"]
_IS_RETRYABLE = pl.col("reason").is_in([str(reason) for reason in RETRYABLE]).fill_null(False)


def recordings(lake: Lake, version: str, date: dt.date) -> pl.LazyFrame:
    """Return the newest result of each object of a date, with `shard` and `date` (`latest_per_uri`)."""
    return rows(lake, version, date).lazy().with_columns(date=pl.lit(date)).pipe(latest_per_uri)


def latest_per_uri(recordings: pl.LazyFrame) -> pl.LazyFrame:
    """Keep one row for each URI: its newest result.

    A retryable failure never hides a successful read, so nothing good is lost to a bad night. It does replace a reject
    that was tried again, for then the file may be gone.
    """
    order = ["read_at", "tries", "shard"]
    newest = recordings.with_columns(retryable=_IS_RETRYABLE).sort(
        "uri", "retryable", *order, descending=[False, False, True, True, False]
    )
    best = {name: pl.col(name).first().over("uri") for name in ("retryable", "status", "etag", "tries")}
    tried_again = (best["tries"] < pl.col("tries")) | (best["etag"] != pl.col("etag"))
    replaces = best["retryable"] | ((best["status"] != "ok") & tried_again)
    return (
        newest.with_columns(hidden=pl.col("retryable") & ~replaces)
        .sort("uri", "hidden", *order, descending=[False, False, True, True, False])
        .drop("retryable", "hidden")
        .unique("uri", keep="first", maintain_order=True)
    )


def attempts(lake: Lake, version: str, date: dt.date) -> pl.DataFrame:
    """Summarise the attempts at each content (uri, etag) of a date.

    Columns: `tries`; `is_read`, an attempt succeeded; `is_settled`, an attempt succeeded or failed for a reason that is
    not retryable; `exhausted`, the reason of MAX_TRIES failures (never `archived`), else null; `read_after`, the last
    read of its URI.
    A try that two runs made at the same time counts once. Memory: six columns of the date's rows.
    """
    tried = rows(lake, version, date, _ATTEMPT_COLUMNS)
    key = ["uri", "etag"]
    n_tries = pl.col("tries").n_unique()
    failed = tried.filter(pl.col("reason") != str(Reason.ARCHIVED)).group_by(*key, "reason").agg(n_tries=n_tries)
    exhausted = failed.filter(pl.col("n_tries") >= MAX_TRIES).sort("reason")
    contents = tried.group_by(key).agg(
        pl.col("tries").max(),
        is_read=(pl.col("status") == "ok").any(),
        is_settled=~_IS_RETRYABLE.all(),
        read_after=pl.col("read_at").max(),
    )
    exhausted = exhausted.unique(key, keep="first", maintain_order=True).select(*key, exhausted="reason")
    return contents.join(exhausted, on=key, how="left").with_columns(pl.col("read_after").max().over("uri"))


def shard_members(lake: Lake, version: str, date: dt.date) -> pl.DataFrame:
    """Return the `shard` of each (uri, etag): a forced run rewrites the same shards instead of packing new ones."""
    tried = rows(lake, version, date, _ATTEMPT_COLUMNS).lazy()
    return latest_per_uri(tried).select("uri", "etag", "shard").collect()
