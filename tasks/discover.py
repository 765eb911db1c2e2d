"""Stage 1: what is in the corpus that the feature store does not hold yet?"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from data_contracts.errors import UsageError
from data_contracts.records import AudioObject
from data_contracts.schemas import PLAN
from features import store
from features.corpus import list_objects
from features.store import Attempts
from tasks.clock import latest, published_ahead
from tasks.run import Run
from tasks.stage import stage


@dataclass(frozen=True)
class Found:
    """How many objects were listed, how many of them need no reading, and the dates of the others.

    `window` are the dates that the run is for, None for all; `left_alone` counts, by their reason, the rejects that
    failed too often to be tried again.
    """

    n_listed: int
    n_known: int
    dates: tuple[dt.date, ...]
    n_bytes: int
    window: tuple[dt.date, ...] | None = None
    left_alone: dict[str, int] = field(default_factory=dict)


@stage
def discover(run: Run) -> Found:
    """Lists the corpus, leaves out what the store holds (same URI and etag), and writes down the rest by date.

    A forced run does the last attempt over, in its place: it adds none.
    """
    if run.corpus is None:
        raise UsageError("this run was opened without a corpus: it can score stored features, and read no audio")
    history: dict[dt.date, dict[tuple[str, str], Attempts]] = {}
    read_after: dict[dt.date, dict[str, dt.datetime]] = {}
    ahead = dict(published_ahead(run.lake, dt.datetime.now(dt.UTC)).iter_rows())
    fresh: list[AudioObject] = []
    n_listed = n_known = 0
    for listed in list_objects(run.corpus, run.dates):
        n_listed += 1
        if listed.date not in history:
            rows = store.history(run.lake, run.feature_version, listed.date)
            history[listed.date] = store.by_content(rows)
            read_after[listed.date] = dict(rows.select("uri", "read_after").iter_rows())
        after = latest(read_after[listed.date].get(listed.uri), ahead.get(listed.uri))
        item = replace(listed, read_after=after)
        before = history[item.date].get((item.uri, item.etag))
        if before is None:
            fresh.append(item)
        elif run.force:
            fresh.append(replace(item, tries=before.tries - 1))
        elif before.is_done:
            n_known += 1
        else:
            fresh.append(replace(item, tries=before.tries))
    dates, n_bytes = write_found(run, fresh)
    return Found(n_listed, n_known, dates, n_bytes, run.dates)


def write_found(run: Run, items: Iterable[AudioObject]) -> tuple[tuple[dt.date, ...], int]:
    """Writes down by date what is to be read, a content once; returns the dates and the bytes."""
    by_date: dict[dt.date, dict[tuple[str, str], AudioObject]] = {}
    for item in items:
        by_date.setdefault(item.date, {})[item.uri, item.etag] = item
    for date, found in by_date.items():
        rows = [{name: getattr(item, name) for name in PLAN.names} for item in found.values()]
        run.lake.write_parquet(found_path(run, date), pa.Table.from_pylist(rows, schema=PLAN))
    return tuple(sorted(by_date)), sum(item.bytes for found in by_date.values() for item in found.values())


def found_path(run: Run, date: dt.date) -> str:
    return f"{run.staging}/found/date={date.isoformat()}.parquet"
