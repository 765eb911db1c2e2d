"""Rows of many dates in any order come back date by date, whether or not they waited on disk."""

import datetime as dt
import itertools
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.lake import Lake
from tasks.staging.date_spool import DateSpool

DAY = dt.date(2026, 11, 21)


def _page(*days: int, start: int = 0) -> pl.DataFrame:
    dates = [DAY + dt.timedelta(days=day) for day in days]
    return pl.DataFrame({"uri": [f"{start + place:03}" for place in range(len(days))], "date": dates})


def _taken(spool: DateSpool) -> dict[int, list[list[str]]]:
    return {(date - DAY).days: [part["uri"].to_list() for part in parts] for date, parts in spool.take_all()}


def test_few_rows_stay_in_memory(lake):
    spool = DateSpool(lake, "staging/listed", max_rows=5)
    spool.add(_page(0, 1, 0, 1, 0))
    assert _taken(spool) == {0: [["000", "002", "004"]], 1: [["001", "003"]]}
    assert not Path(lake.uri).exists()
    assert spool.dates == []


def test_rows_beyond_the_limit_wait_on_disk_and_leave_no_file(lake):
    spool = DateSpool(lake, "staging/listed", max_rows=2)
    spool.add(_page(0, 0, 0))
    spool.add(_page(0, start=3))
    assert lake.names("staging/listed") == ["date=2026-11-21"]
    assert _taken(spool) == {0: [["000", "001", "002"], ["003"]]}
    assert lake.names("staging/listed/date=2026-11-21") == []


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=8), st.integers(0, 10))
def test_every_row_comes_back_once_in_order(tmp_path_factory, days, most):
    spool = DateSpool(Lake(str(tmp_path_factory.mktemp("lake"))), "listed", max_rows=most)
    expected: dict[int, list[str]] = {}
    for place, page in enumerate(days):
        spool.add(_page(*page, start=10 * place))
        for row, day in enumerate(page):
            expected.setdefault(day, []).append(f"{10 * place + row:03}")
    assert {day: [*itertools.chain(*parts)] for day, parts in _taken(spool).items()} == expected
