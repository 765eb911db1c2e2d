"""Stage 1 of a retry: published rejects instead of the corpus, each looked up again at its URI."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from data_contracts.errors import UsageError
from features.corpus.object_frames import from_objects
from features.store import history
from tasks.run.context import Run
from tasks.stages.stage import stage_named
from tasks.staging.found_objects import Discovery, FoundWriter
from tasks.staging.rejects import matching_rejects, refresh_object
from tasks.staging.unread_objects import join_history


@stage_named("rejected")
def discover_rejects(run: Run) -> Discovery:
    """Write the rejects to read again to staging, by date.

    A reject that failed three times for the same reason is skipped while it has the same etag. One that is gone from
    the corpus is tried nevertheless: the attempt records that.
    """
    if run.corpus is None or run.retry is None:
        raise UsageError("a retry needs a corpus, and a choice among the rejects")
    rows = matching_rejects(run.lake, run.retry, run.dates)
    with ThreadPoolExecutor(16, thread_name_prefix="stat") as pool:
        items = from_objects(pool.map(refresh_object, rows, [run.corpus] * len(rows)))
    writer, skipped, n_again = FoundWriter(run), Counter[str](), 0
    for (date,), own in items.partition_by("date", as_dict=True).items():
        known = join_history(own.lazy(), history.attempts(run.lake, run.feature_version, date)).collect()
        exhausted, rest = known.filter(pl.col("exhausted").is_not_null()), known.filter(pl.col("exhausted").is_null())
        skipped.update(exhausted["exhausted"].to_list())
        again = rest.filter(
            ~pl.col("is_read").fill_null(False)
        )  # the others were read well by a run that died: they only need publishing
        again = again.with_columns(tries=pl.max_horizontal("tries", "tries_before"))
        writer.write(date, again)
        n_again += again.height
    window = tuple(sorted({row["date"] for row in rows} | set(items["date"])))
    return Discovery(len(rows), len(rows) - n_again, writer.parts, writer.n_bytes, window, dict(skipped))
