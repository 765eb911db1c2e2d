"""Packing of feature files: only dates that are old enough, and that no running run writes."""

import datetime as dt

import pyarrow as pa

from features.store import shard_files
from tasks.stages.pack import pack_features

DAY = dt.date(2026, 11, 21)


def test_dates_that_a_running_run_writes_are_not_packed(lake):
    now = dt.datetime.now(dt.UTC)
    for date in (DAY - dt.timedelta(700), DAY - dt.timedelta(701)):
        for shard in ("0a", "0b"):
            path = shard_files.path("recordings", "v1", date, shard)
            lake.write_parquet(path, pa.table({"uri": [shard]}))
    lake.write_json("staging/run=r/run.json", {"status": "running", "feature_version": "v1"})
    lake.write(f"staging/run=r/plan/date={DAY - dt.timedelta(700)}/0a.parquet", b"")
    (line,) = pack_features.fn(lake, now, older_than_days=7, dry_run=False)
    assert (line.files_before, line.files_after, line.did) == (2, 1, "packed")
    later = now + dt.timedelta(days=2)
    (line,) = pack_features.fn(lake, later, older_than_days=7, dry_run=False)
    assert (line.files_before, line.files_after) == (3, 2), "a run that is dead keeps nothing from being packed"


def test_young_dates_are_not_packed(lake):
    now = dt.datetime.now(dt.UTC)
    for days in (7, 8):
        for shard in ("0a", "0b"):
            date = now.date() - dt.timedelta(days)
            lake.write_parquet(shard_files.path("recordings", "v1", date, shard), pa.table({"uri": [shard]}))
    (line,) = pack_features.fn(lake, now, older_than_days=7, dry_run=False)
    assert (line.files_before, line.files_after) == (2, 1)
