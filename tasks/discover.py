"""Stage 1: what is in the corpus that the feature store does not hold yet?"""

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa

from data_contracts.errors import UsageError
from data_contracts.records import AudioObject
from data_contracts.schemas import PLAN
from features import store
from features.corpus import list_objects
from tasks.run import Run
from tasks.stage import stage


@dataclass(frozen=True)
class Found:
    """How many objects were listed, how many of them need no reading, and the dates of the others."""

    n_listed: int
    n_known: int
    dates: tuple[dt.date, ...]
    n_bytes: int


@stage
def discover(run: Run) -> Found:
    """Lists the corpus, leaves out what the store holds (same URI and etag), and writes down the rest by date."""
    if run.corpus is None:
        raise UsageError("this run was opened without a corpus: it can score stored features, and read no audio")
    known: dict[dt.date, dict[tuple[str, str], int]] = {}
    fresh: dict[dt.date, dict[tuple[str, str], AudioObject]] = {}
    n_listed = n_known = 0
    for item in list_objects(run.corpus, run.dates):
        n_listed += 1
        if item.date not in known:
            known[item.date] = {} if run.force else store.known(run.lake, run.feature_version, item.date)
        tries = known[item.date].get((item.uri, item.etag), 0)
        if tries < 0:
            n_known += 1
            continue
        fresh.setdefault(item.date, {})[item.uri, item.etag] = AudioObject(**{**vars(item), "tries": tries})
    for date, items in fresh.items():
        rows = [{name: getattr(item, name) for name in PLAN.names} for item in items.values()]
        run.lake.write_parquet(found_path(run, date), pa.Table.from_pylist(rows, schema=PLAN))
    n_bytes = sum(item.bytes for items in fresh.values() for item in items.values())
    return Found(n_listed, n_known, tuple(sorted(fresh)), n_bytes)


def found_path(run: Run, date: dt.date) -> str:
    return f"{run.staging}/found/date={date.isoformat()}.parquet"
