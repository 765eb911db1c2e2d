"""Ranges of dates for a run."""

import datetime as dt

import pytest

from data_contracts.errors import UsageError
from flows.dates import date_range


def test_half_a_range_is_wrong_usage():
    with pytest.raises(UsageError, match="both ends"):
        date_range(dt.date(2026, 1, 1), None)
    with pytest.raises(UsageError, match="--from before --to"):
        date_range(dt.date(2026, 1, 2), dt.date(2026, 1, 1))
