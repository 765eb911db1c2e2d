"""What a listing brings in any order, by date: in memory while there is little, and in files of the staging area."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

import polars as pl

from data_contracts.lake import Lake

ROWS_IN_MEMORY = 1_000_000  # about 200 MB


class DateSpool:
    """Takes frames with a `date`, and gives back those of a date; beyond `most_rows` in all it writes parts."""

    def __init__(self, lake: Lake, folder: str, *, most_rows: int = ROWS_IN_MEMORY) -> None:
        self._lake, self._folder, self._most_rows = lake, folder, most_rows
        self._held: dict[dt.date, list[pl.DataFrame]] = defaultdict(list)
        self._n_rows: dict[dt.date, int] = defaultdict(int)
        self._n_parts: dict[dt.date, int] = defaultdict(int)
        self._n_held = 0

    def add(self, page: pl.DataFrame) -> None:
        for (date,), own in page.partition_by("date", as_dict=True).items():
            self._held[date].append(own)
            self._n_rows[date] += own.height
        self._n_held += page.height
        while self._n_held > self._most_rows:
            self._write(max(self._n_rows, key=lambda date: self._n_rows[date]))

    @property
    def dates(self) -> list[dt.date]:
        return sorted({*self._held, *self._n_parts})

    def take(self, date: dt.date) -> Iterator[pl.DataFrame]:
        """What came of a date, in the order it came, in parts of `most_rows` at most; it is forgotten then."""
        for part in range(self._n_parts.pop(date, 0)):
            path = self._part(date, part)
            yield pl.DataFrame(self._lake.read_parquet(path)).with_columns(date=pl.lit(date))
            self._lake.remove(path)
        if date in self._held:
            yield self._gather(date)

    def take_all(self) -> Iterator[tuple[dt.date, Iterator[pl.DataFrame]]]:
        """`take` of every date; each is to be used up before the next."""
        return ((date, self.take(date)) for date in self.dates)

    def _write(self, date: dt.date) -> None:
        self._lake.write_parquet(self._part(date, self._n_parts[date]), self._gather(date).drop("date").to_arrow())
        self._n_parts[date] += 1

    def _gather(self, date: dt.date) -> pl.DataFrame:
        self._n_held -= self._n_rows.pop(date)
        return pl.concat(self._held.pop(date))

    def _part(self, date: dt.date, number: int) -> str:
        return f"{self._folder}/date={date.isoformat()}/part-{number:05}.parquet"
