"""Attempts at the contents of a date as the feature store counts them, by (uri, etag)."""

import datetime as dt
from dataclasses import dataclass

from data_contracts.lake import Lake
from features.store import history


@dataclass(frozen=True)
class Attempts:
    """A row of `history.attempts`."""

    tries: int
    is_read: bool
    is_settled: bool
    exhausted: str | None  # the reason

    @property
    def is_done(self) -> bool:
        """True where a run skips the content unless it is forced."""
        return self.is_settled or self.exhausted is not None


def attempts(lake: Lake, version: str, date: dt.date) -> dict[tuple[str, str], Attempts]:
    found = history.attempts(lake, version, date).select("uri", "etag", *Attempts.__dataclass_fields__)
    return {(row[0], row[1]): Attempts(*row[2:]) for row in found.iter_rows()}
