"""Staging files of the objects to read: discovery writes them by date, planning reads them."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from features.corpus import object_frames
from features.corpus.object_frames import OBJECT_KEY
from tasks.run import staging_paths as paths
from tasks.run.context import Run


@dataclass(frozen=True)
class Discovery:
    """Counts of listed and of known objects, and the staging files of those to read.

    `parts` is the number of files of each date; `window` are the run's dates, None for all; `left_alone` counts, by
    reason, the rejects that failed too often to be tried again; `incomplete` are shards with files gone.
    """

    n_listed: int
    n_known: int
    parts: dict[dt.date, int]
    n_bytes: int
    window: tuple[dt.date, ...] | None = None
    left_alone: dict[str, int] = field(default_factory=dict)
    incomplete: dict[dt.date, list[str]] = field(default_factory=dict)

    @property
    def dates(self) -> tuple[dt.date, ...]:
        return tuple(sorted(self.parts))


class FoundWriter:
    """Write the objects to read by date, a content once; count files and bytes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.parts: dict[dt.date, int] = {}
        self.n_bytes = 0

    def write(self, date: dt.date, objects: pl.DataFrame) -> None:
        if objects.is_empty():
            return
        once = objects.unique(OBJECT_KEY, keep="last").sort(OBJECT_KEY)
        number = self.parts.get(date, 0)
        self._run.lake.write_parquet(paths.found(self._run.id, date, number), object_frames.to_arrow(once))
        self.parts[date] = number + 1
        self.n_bytes += int(once["bytes"].sum())


def read_found(run: Run, found: Discovery, date: dt.date) -> Iterator[pl.DataFrame]:
    """Read what `FoundWriter` wrote of a date, in the order of (uri, etag).

    A file at a time where they continue each other, as those of a listing do; else in one piece.
    """
    parts = (_read_part(run, date, number) for number in range(found.parts[date]))
    if _in_order(run, found, date):
        return parts
    return iter([pl.concat(parts).unique(OBJECT_KEY, keep="last").sort(OBJECT_KEY)])


def _in_order(run: Run, found: Discovery, date: dt.date) -> bool:
    if found.parts[date] == 1:
        return True
    tables = (
        run.lake.read_parquet(paths.found(run.id, date, number), OBJECT_KEY) for number in range(found.parts[date])
    )
    bounds = [tuple(table[name][place].as_py() for name in OBJECT_KEY) for table in tables for place in (0, -1)]
    return all(last < first for last, first in zip(bounds[1::2], bounds[2::2], strict=False))


def _read_part(run: Run, date: dt.date, number: int) -> pl.DataFrame:
    table = run.lake.read_parquet(paths.found(run.id, date, number))
    return pl.DataFrame(table).with_columns(date=pl.lit(date)).select(object_frames.SCHEMA.keys())
