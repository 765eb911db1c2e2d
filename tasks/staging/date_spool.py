"""Spool that groups listed objects by date: in memory up to a limit, beyond it in staging files."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

import polars as pl

from data_contracts.lake import Lake

MAX_ROWS_IN_MEMORY = 1_000_000  # about 200 MB


class DateSpool:
    """Take frames with a `date`, and give back those of a date; beyond `max_rows` in all it writes parts."""

    def __init__(self, lake: Lake, folder: str, *, max_rows: int = MAX_ROWS_IN_MEMORY) -> None:
        self._lake, self._folder, self._max_rows = lake, folder, max_rows
        self._frames: dict[dt.date, list[pl.DataFrame]] = defaultdict(list)
        self._n_rows: dict[dt.date, int] = defaultdict(int)
        self._n_parts: dict[dt.date, int] = defaultdict(int)
        self._n_in_memory = 0

    def add(self, page: pl.DataFrame) -> None:
        for (date,), own in page.partition_by("date", as_dict=True).items():
            self._frames[date].append(own)
            self._n_rows[date] += own.height
        self._n_in_memory += page.height
        while self._n_in_memory > self._max_rows:
            self._write(max(self._n_rows, key=lambda date: self._n_rows[date]))

    @property
    def dates(self) -> list[dt.date]:
        return sorted({*self._frames, *self._n_parts})

    def take(self, date: dt.date) -> Iterator[pl.DataFrame]:
        """Yield and drop the rows of a date, in the order they came, in parts of at most `max_rows`."""
        for part in range(self._n_parts.pop(date, 0)):
            path = self._part(date, part)
            yield pl.DataFrame(self._lake.read_parquet(path)).with_columns(date=pl.lit(date))
            self._lake.remove(path)
        if date in self._frames:
            yield self._gather(date)

    def take_all(self) -> Iterator[tuple[dt.date, Iterator[pl.DataFrame]]]:
        """Yield every date with its parts; exhaust each before the next."""
        return ((date, self.take(date)) for date in self.dates)

    def _write(self, date: dt.date) -> None:
        self._lake.write_parquet(self._part(date, self._n_parts[date]), self._gather(date).drop("date").to_arrow())
        self._n_parts[date] += 1

    def _gather(self, date: dt.date) -> pl.DataFrame:
        self._n_in_memory -= self._n_rows.pop(date)
        return pl.concat(self._frames.pop(date))

    def _part(self, date: dt.date, number: int) -> str:
        return f"{self._folder}/date={date.isoformat()}/part-{number:05}.parquet"
