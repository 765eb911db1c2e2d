"""Published rejects that a retry selects, each looked up again at its URI."""

import datetime as dt
from dataclasses import replace
from typing import Any

import polars as pl

from data_contracts.errors import CorpusError, UsageError
from data_contracts.lake import Lake
from data_contracts.records import AudioObject
from data_contracts.schema import tables
from features.corpus.filesystem import stat_object
from features.corpus.layout import Corpus, date_in_path
from tasks.run.context import RejectFilter

_OBJECT_COLUMNS = ("bytes", "modified", "attributes", "read_at")


def matching_rejects(
    lake: Lake, reject_filter: RejectFilter, dates: tuple[dt.date, ...] | None
) -> list[dict[str, Any]]:
    """Return the rejects that match the filter, with the columns of `recordings` about the object.

    Raises UsageError where a URI of the filter is not among the rejects.
    """
    rejects = lake.frame("rejects", tables.REJECTS).select("uri", "etag", "date", "reason", "tries").collect()
    unknown = sorted(set(reject_filter.uris) - set(rejects["uri"]))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not among the rejects; `undertone rejects` lists them, --json in full")
    if dates is not None:
        rejects = rejects.filter(pl.col("date").is_in(list(dates)))
    if reject_filter.reasons:
        rejects = rejects.filter(pl.col("reason").is_in(list(reject_filter.reasons)))
    if reject_filter.uris:
        rejects = rejects.filter(pl.col("uri").is_in(list(reject_filter.uris)))
    objects = lake.frame("recordings", tables.RECORDINGS).select("uri", "etag", *_OBJECT_COLUMNS)
    return rejects.lazy().join(objects, on=["uri", "etag"], how="left").sort("date", "uri").collect().to_dicts()


def refresh_object(row: dict[str, Any], corpus: Corpus) -> AudioObject:
    """Return the object as it is now; as it was where it is gone or access is denied: reading it will fail with that.

    An unchanged object keeps its date, under which its history is stored.
    """
    try:
        item = stat_object(row["uri"], row["date"], corpus.retry_policy)
    except (FileNotFoundError, CorpusError):
        modified = row["modified"] or dt.datetime.fromtimestamp(0, dt.UTC)
        item = AudioObject(row["uri"], row["etag"], row["bytes"] or 0, row["date"], modified)
    date = row["date"]
    if item.etag != row["etag"] and not corpus.manifest:
        date = date_in_path(item.uri, corpus.layout, corpus.root) or item.modified.date()
    tries = row["tries"] if item.etag == row["etag"] else 0
    known = {"uri": row["uri"], "attributes": row["attributes"], "read_after": row["read_at"]}
    return replace(item, **known, date=date, tries=tries)
