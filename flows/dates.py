"""Dates of a run."""

import datetime as dt

from data_contracts.errors import UsageError


def yesterday() -> dt.date:
    """Return the date of a nightly run, in UTC."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


def date_range(start: dt.date | None, end: dt.date | None) -> list[dt.date] | None:
    """Return the dates of a range, or None for all. Raises UsageError for half a range, or a reversed one.

    >>> len(date_range(dt.date(2026, 2, 27), dt.date(2026, 3, 1)))
    3
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise UsageError("expected both ends of the range, --from D --to D, or neither for all dates")
    if end < start:
        raise UsageError(f"expected --from before --to; found {start} to {end}")
    return [start + dt.timedelta(days=day) for day in range((end - start).days + 1)]
