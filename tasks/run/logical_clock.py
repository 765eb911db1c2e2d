"""What was read later than now: by a machine whose clock is ahead of this one's.

A content counts as newer where it was read later (`store_history.last_read`, `tasks.stages.select`). So `read_at` is a
logical clock: the next read of a URI comes after every earlier one, whatever the clocks say.
"""

import datetime as dt

import polars as pl

from data_contracts.lake import Lake
from data_contracts.schema.tables import RECORDINGS


def reads_ahead_of_clock(lake: Lake, now: dt.datetime) -> pl.DataFrame:
    """Of what is published as read later than `now`: `uri` and `read_after`; no rows where all clocks are right.

    It reaches the reads that a date's own history does not: those of another feature version, and of a URI that an
    earlier content had under another date.
    """
    ahead = lake.frame("recordings", RECORDINGS).filter(pl.col("read_at") > now)
    return ahead.select("uri", read_after="read_at").collect()
