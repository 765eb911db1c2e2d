"""Stage 1: objects of the corpus that the feature store does not hold yet."""

import datetime as dt
from collections.abc import Iterator

import polars as pl

from data_contracts.errors import UsageError
from features.corpus.layout import Corpus
from features.corpus.listing import is_grouped_by_date, list_pages
from features.store import history as store_history
from features.store.completeness import expected_sets
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.run.logical_clock import reads_ahead_of_clock
from tasks.stages.stage import stage
from tasks.staging.date_spool import DateSpool
from tasks.staging.feature_damage import mend_store
from tasks.staging.found_objects import Discovery, FoundWriter
from tasks.staging.unread_objects import select_unread


@stage
def discover(run: Run) -> Discovery:
    """List the corpus, leave out what the store holds (same URI and etag), and write the rest to staging by date.

    In memory are the history of one date and a part of its listing, never the whole window. A forced run replaces the
    last attempt: it adds none; so does one that finds a shard whose features are gone.
    """
    if run.corpus is None:
        raise UsageError("this run was opened without a corpus: it can score stored features, and read no audio")
    sets = expected_sets(run.lake, run.feature_version)
    ahead = reads_ahead_of_clock(run.lake, dt.datetime.now(dt.UTC))
    writer, n_listed, n_known, incomplete = FoundWriter(run), 0, 0, dict[dt.date, list[str]]()
    for date, parts in list_by_date(run, run.corpus):
        lost = mend_store(run, date, sets)
        history = store_history.attempts(run.lake, run.feature_version, date)
        again = store_history.shard_members(run.lake, run.feature_version, date).filter(pl.col("shard").is_in(lost))
        if lost:
            incomplete[date] = lost
        for part in parts:
            unread = select_unread(part, history, ahead, again=again, force=run.force)
            writer.write(date, unread)
            n_listed += part.height
            n_known += part.height - unread.height
    return Discovery(n_listed, n_known, writer.parts, writer.n_bytes, run.dates, incomplete=incomplete)


def list_by_date(run: Run, corpus: Corpus) -> Iterator[tuple[dt.date, Iterator[pl.DataFrame]]]:
    """Yield every date's objects, in parts; where pages mix dates, or a date is large, they wait in staging."""
    spool, is_ordered = DateSpool(run.lake, paths.listed(run.id)), is_grouped_by_date(corpus, run.dates)
    for page in list_pages(corpus, run.dates):
        if is_ordered and spool.dates not in ([], [page["date"][0]]):
            yield from spool.take_all()
        spool.add(page)
    yield from spool.take_all()
