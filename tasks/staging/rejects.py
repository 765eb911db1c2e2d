"""Published rejects that a retry means, each looked at again where it lies."""

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

_TOLD = ("bytes", "modified", "attributes", "read_at")


def matching_rejects(lake: Lake, choice: RejectFilter, dates: tuple[dt.date, ...] | None) -> list[dict[str, Any]]:
    """The rejects that a choice means, each with what its row of `recordings` tells of the object.

    Raises UsageError where a URI is none of them.
    """
    rejects = lake.frame("rejects", tables.REJECTS).select("uri", "etag", "date", "reason", "tries").collect()
    unknown = sorted(set(choice.uris) - set(rejects["uri"]))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not among the rejects; `undertone rejects` lists them, --json in full")
    if dates is not None:
        rejects = rejects.filter(pl.col("date").is_in(list(dates)))
    if choice.reasons:
        rejects = rejects.filter(pl.col("reason").is_in(list(choice.reasons)))
    if choice.uris:
        rejects = rejects.filter(pl.col("uri").is_in(list(choice.uris)))
    told = lake.frame("recordings", tables.RECORDINGS).select("uri", "etag", *_TOLD)
    return rejects.lazy().join(told, on=["uri", "etag"], how="left").sort("date", "uri").collect().to_dicts()


def refresh_object(row: dict[str, Any], corpus: Corpus) -> AudioObject:
    """The object as it is now; as it was where it is gone or may not be looked at: reading it will say so.

    One that has not changed keeps its date, under which its history lies.
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
    told = {"uri": row["uri"], "attributes": row["attributes"], "read_after": row["read_at"]}
    return replace(item, **told, date=date, tries=tries)
