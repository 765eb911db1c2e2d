"""The flow that an engineer runs over a range of dates: again, or for the first time."""

import datetime as dt
from typing import Any

from prefect import flow

from data_contracts.errors import UsageError
from flows.artifacts import leave
from flows.pipeline import Stage, process
from flows.settings import Settings
from tasks.ledger import Ledger


@flow(name="backfill")
def backfill(
    start: dt.date | None = None,
    end: dt.date | None = None,
    stage: Stage | None = None,
    force: bool = False,
    settings: dict[str, Any] | None = None,
) -> Ledger:
    """Processes every date from `start` to `end`, both included; without either, all that the corpus holds.

    `features` extracts and publishes nothing; `score` identifies, scores and publishes from stored features, without
    touching the audio; by default both. What the current versions have done already is left alone unless `force`.
    """
    ledger = process(
        Settings.load(**(settings or {})),
        flow="backfill",
        dates=days(start, end),
        stage=stage,
        force=force,
        rescore=True,
    )
    leave(ledger)
    return ledger


def days(start: dt.date | None, end: dt.date | None) -> list[dt.date] | None:
    """The dates of a range, or None for all. Raises UsageError for half a range, or one that runs backwards.

    >>> len(days(dt.date(2026, 2, 27), dt.date(2026, 3, 1)))
    3
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise UsageError("expected both ends of the range, --from D --to D, or neither for all dates")
    if end < start:
        raise UsageError(f"expected --from before --to; found {start} to {end}")
    return [start + dt.timedelta(days=day) for day in range((end - start).days + 1)]
