"""Logical clock for `read_at`: published reads with a time in the future, by a machine whose clock is ahead.

A content counts as newer where it was read later (`store_history.last_read`, `tasks.stages.select`). So `read_at` is a
logical clock: the next read of a URI comes after every earlier one, whatever the clocks say.
"""

import datetime as dt

import polars as pl

from data_contracts.lake import Lake
from data_contracts.schema.tables import RECORDINGS


def reads_ahead_of_clock(lake: Lake, now: dt.datetime) -> pl.DataFrame:
    """Return `uri` and `read_after` of recordings published as read later than `now`; no rows where all clocks agree.

    They include reads that a date's own history lacks: those of another feature version, and those of an earlier
    content of the URI under another date.
    """
    ahead = lake.frame("recordings", RECORDINGS).filter(pl.col("read_at") > now)
    return ahead.select("uri", read_after="read_at").collect()
