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
from features import store_history
from features.corpus import Corpus, date_in_path
from features.corpus_filesystem import look_at
from features.rows import of_objects
from tasks.discover import Found, Writer, remembered
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
        items = of_objects(pool.map(_look_again, rows, [run.corpus] * len(rows)))
    writer, left_alone, n_again = Writer(run), Counter[str](), 0
    for (date,), own in items.partition_by("date", as_dict=True).items():
        known = remembered(own.lazy(), store_history.history(run.lake, run.feature_version, date)).collect()
        worn_out, rest = known.filter(pl.col("worn_out").is_not_null()), known.filter(pl.col("worn_out").is_null())
        left_alone.update(worn_out["worn_out"].to_list())
        again = rest.filter(~pl.col("is_read").fill_null(False))  # read well, by a run that died: to be published
        again = again.with_columns(tries=pl.max_horizontal("tries", "tries_before"))
        writer.write(date, again)
        n_again += again.height
    window = tuple(sorted({row["date"] for row in rows} | set(items["date"])))
    return Found(len(rows), len(rows) - n_again, writer.parts, writer.n_bytes, window, dict(left_alone))


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
        item = look_at(row["uri"], row["date"], corpus.patience)
    except (FileNotFoundError, CorpusError):
        modified = row["modified"] or dt.datetime.fromtimestamp(0, dt.UTC)
        item = AudioObject(row["uri"], row["etag"], row["bytes"] or 0, row["date"], modified)
    date = row["date"]
    if item.etag != row["etag"] and not corpus.manifest:
        date = date_in_path(item.uri, corpus.layout, corpus.root) or item.modified.date()
    tries = row["tries"] if item.etag == row["etag"] else 0
    told = {"uri": row["uri"], "attributes": row["attributes"], "read_after": row["read_at"]}
    return replace(item, **told, date=date, tries=tries)
