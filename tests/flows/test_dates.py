"""Ranges of dates for a run."""

import datetime as dt

import pytest

from data_contracts.errors import UsageError
from flows.dates import days


def test_half_a_range_is_wrong_usage():
    with pytest.raises(UsageError, match="both ends"):
        days(dt.date(2026, 1, 1), None)
    with pytest.raises(UsageError, match="--from before --to"):
        days(dt.date(2026, 1, 2), dt.date(2026, 1, 1))
