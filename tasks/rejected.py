"""Stage 1 of a retry: instead of the corpus, the rejects, each looked at again where it lies."""

import datetime as dt
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import polars as pl

from data_contracts import schemas
from data_contracts.errors import CorpusError, UsageError
from data_contracts.lake import Lake
from data_contracts.records import AudioObject
from features import store
from features.corpus import Corpus, date_in_path, look_at
from tasks.clock import latest
from tasks.discover import Found, write_found
from tasks.run import Choice, Run
from tasks.stage import stage

_TOLD = ("bytes", "modified", "attributes", "read_at")


@stage
def rejected(run: Run) -> Found:
    """Writes down which rejects are to be read again, by date.

    One that failed three times for the same reason is left alone while it has the same etag. One that is gone is tried
    nevertheless: the attempt says so.
    """
    if run.corpus is None or run.retry is None:
        raise UsageError("a retry needs a corpus, and a choice among the rejects")
    rows = chosen(run.lake, run.retry, run.dates)
    with ThreadPoolExecutor(16, thread_name_prefix="stat") as pool:
        items = list(pool.map(_look_again, rows, [run.corpus] * len(rows)))
    dates = sorted({item.date for item in items})
    stored = {date: store.history(run.lake, run.feature_version, date) for date in dates}
    history = {date: store.by_content(rows) for date, rows in stored.items()}
    read_after = {date: dict(rows.select("uri", "read_after").iter_rows()) for date, rows in stored.items()}
    again: list[AudioObject] = []
    left_alone: Counter[str] = Counter()
    for item, row in zip(items, rows, strict=True):
        before = history[item.date].get((item.uri, item.etag))
        if before is not None and before.worn_out:
            left_alone[before.worn_out] += 1
        elif before is None or not before.is_read:  # read well, by a run that died: to be published, not read
            tried = row["tries"] if item.etag == row["etag"] else 0
            tries = max(tried, before.tries if before else 0)
            last = latest(row["read_at"], read_after[item.date].get(item.uri))
            again.append(replace(item, tries=tries, read_after=last))
    found, n_bytes = write_found(run, again)
    window = {row["date"] for row in rows} | {item.date for item in items}
    return Found(len(rows), len(rows) - len(again), found, n_bytes, tuple(sorted(window)), dict(left_alone))


def chosen(lake: Lake, choice: Choice, dates: tuple[dt.date, ...] | None) -> list[dict[str, Any]]:
    """The rejects that a choice means, each with what its row of `recordings` tells of the object.

    Raises UsageError where a URI is none of them.
    """
    rejects = lake.frame("rejects", schemas.REJECTS).select("uri", "etag", "date", "reason", "tries").collect()
    unknown = sorted(set(choice.uris) - set(rejects["uri"]))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not among the rejects; `undertone rejects` lists them, --json in full")
    if dates is not None:
        rejects = rejects.filter(pl.col("date").is_in(list(dates)))
    if choice.reasons:
        rejects = rejects.filter(pl.col("reason").is_in(list(choice.reasons)))
    if choice.uris:
        rejects = rejects.filter(pl.col("uri").is_in(list(choice.uris)))
    told = lake.frame("recordings", schemas.RECORDINGS).select("uri", "etag", *_TOLD)
    return rejects.lazy().join(told, on=["uri", "etag"], how="left").sort("date", "uri").collect().to_dicts()


def _look_again(row: dict[str, Any], corpus: Corpus) -> AudioObject:
    """The object as it is now; as it was where it is gone or may not be looked at: reading it will say so.

    One that has not changed keeps its date, under which its history lies.
    """
    try:
        item = look_at(row["uri"], row["date"])
    except (FileNotFoundError, CorpusError):
        modified = row["modified"] or dt.datetime.fromtimestamp(0, dt.UTC)
        return AudioObject(row["uri"], row["etag"], row["bytes"] or 0, row["date"], modified, row["attributes"])
    date = row["date"]
    if item.etag != row["etag"] and not corpus.manifest:
        date = date_in_path(item.uri, corpus.layout, corpus.root) or item.modified.date()
    return replace(item, uri=row["uri"], date=date, attributes=row["attributes"])
