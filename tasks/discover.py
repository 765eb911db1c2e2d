"""Stage 1: what is in the corpus that the feature store does not hold yet?"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from data_contracts.errors import UsageError
from features import rows, store_history
from features.corpus import Corpus
from features.listing import by_folder, list_pages
from features.rows import KEY
from tasks import run_staging_paths as paths
from tasks.clock import published_ahead
from tasks.run import Run
from tasks.spool import Spool
from tasks.stage import stage


@dataclass(frozen=True)
class Found:
    """How many objects were listed, how many of them need no reading, and the dates of the others.

    `parts` says how many files a date's are written down in; `window` are the dates that the run is for, None for all;
    `left_alone` counts, by their reason, the rejects that failed too often to be tried again.
    """

    n_listed: int
    n_known: int
    parts: dict[dt.date, int]
    n_bytes: int
    window: tuple[dt.date, ...] | None = None
    left_alone: dict[str, int] = field(default_factory=dict)

    @property
    def dates(self) -> tuple[dt.date, ...]:
        return tuple(sorted(self.parts))


@stage
def discover(run: Run) -> Found:
    """Lists the corpus, leaves out what the store holds (same URI and etag), and writes down the rest by date.

    In memory are the history of one date and a part of what was listed for it, never the window. A forced run does the
    last attempt over, in its place: it adds none.
    """
    if run.corpus is None:
        raise UsageError("this run was opened without a corpus: it can score stored features, and read no audio")
    ahead = published_ahead(run.lake, dt.datetime.now(dt.UTC))
    writer, n_listed, n_known = Writer(run), 0, 0
    for date, parts in listed(run, run.corpus):
        history = store_history.history(run.lake, run.feature_version, date)
        for part in parts:
            fresh = to_read(part, history, ahead, force=run.force)
            writer.write(date, fresh)
            n_listed += part.height
            n_known += part.height - fresh.height
    return Found(n_listed, n_known, writer.parts, writer.n_bytes, run.dates)


def listed(run: Run, corpus: Corpus) -> Iterator[tuple[dt.date, Iterator[pl.DataFrame]]]:
    """Every date's objects, in parts; where pages are of many dates, or a date is large, they wait in staging."""
    spool, in_turn = Spool(run.lake, paths.listed(run.id)), by_folder(corpus, run.dates)
    for page in list_pages(corpus, run.dates):
        if in_turn and spool.dates not in ([], [page["date"][0]]):
            yield from spool.take_all()
        spool.add(page)
    yield from spool.take_all()


def to_read(listed: pl.DataFrame, history: pl.DataFrame, ahead: pl.DataFrame, *, force: bool = False) -> pl.DataFrame:
    """Of a date's listed objects those to read (`rows.SCHEMA`), by `store_history.history` and `published_ahead`.

    What failed for a reason that passes is read again until it failed too often; by force, everything is.
    """
    done = pl.lit(False) if force else (pl.col("is_settled") | pl.col("worn_out").is_not_null()).fill_null(False)
    return (
        remembered(listed.lazy().with_columns(read_after=None), history)
        .filter(~done)
        .join(ahead.lazy().rename({"read_after": "ahead"}), on="uri", how="left", maintain_order="left")
        .with_columns(
            tries=(pl.col("tries_before") - int(force)).fill_null(0).cast(pl.Int16),
            read_after=pl.max_horizontal("read_after", "ahead"),
        )
        .select(rows.SCHEMA.keys())
        .collect()
    )


def remembered(objects: pl.LazyFrame, history: pl.DataFrame) -> pl.LazyFrame:
    """Objects of a date beside earlier attempts at their contents (`store_history.history`; `tries_before`), and
    `read_after` brought up to when their URI was read last.
    """
    last = history.lazy().group_by("uri").agg(read_before=pl.col("read_after").first())
    told = history.lazy().drop("read_after").rename({"tries": "tries_before"})
    return (
        objects.join(told, on=KEY, how="left", maintain_order="left")
        .join(last, on="uri", how="left", maintain_order="left")
        .with_columns(read_after=pl.max_horizontal("read_after", "read_before"))
    )


class Writer:
    """Writes down what is to be read, by date, a content once; counts the files and the bytes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.parts: dict[dt.date, int] = {}
        self.n_bytes = 0

    def write(self, date: dt.date, objects: pl.DataFrame) -> None:
        if objects.is_empty():
            return
        once = objects.unique(KEY, keep="last").sort(KEY)
        number = self.parts.get(date, 0)
        self._run.lake.write_parquet(paths.found(self._run.id, date, number), rows.to_arrow(once))
        self.parts[date] = number + 1
        self.n_bytes += int(once["bytes"].sum())


def read_found(run: Run, found: Found, date: dt.date) -> Iterator[pl.DataFrame]:
    """What `Writer` wrote of a date, in the order of (uri, etag): a file at a time where they continue each other, as
    those of a listing do; else in one piece.
    """
    parts = (_read_part(run, date, number) for number in range(found.parts[date]))
    if _in_order(run, found, date):
        return parts
    return iter([pl.concat(parts).unique(KEY, keep="last").sort(KEY)])


def _in_order(run: Run, found: Found, date: dt.date) -> bool:
    if found.parts[date] == 1:
        return True
    tables = (run.lake.read_parquet(paths.found(run.id, date, number), KEY) for number in range(found.parts[date]))
    bounds = [tuple(table[name][place].as_py() for name in KEY) for table in tables for place in (0, -1)]
    return all(last < first for last, first in zip(bounds[1::2], bounds[2::2], strict=False))


def _read_part(run: Run, date: dt.date, number: int) -> pl.DataFrame:
    table = run.lake.read_parquet(paths.found(run.id, date, number))
    return pl.DataFrame(table).with_columns(date=pl.lit(date)).select(rows.SCHEMA.keys())
