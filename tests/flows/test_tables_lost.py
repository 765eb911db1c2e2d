"""Published tables that another hand damaged: runs say so before they publish, and a forced one brings them back."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables

from data_contracts.errors import DamagedFile, LakeError
from data_contracts.lake import Lake
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.nightly import nightly

DAY, NEXT = dt.date(2026, 11, 19), dt.date(2026, 11, 20)


def test_tables_that_are_gone_are_published_again_from_the_features(published_few, contents):
    lake, before = Lake(published_few["lake"]), contents(published_few["lake"])
    shutil.rmtree(Path(lake.uri, "analytics", "utterances"))
    shutil.rmtree(Path(lake.uri, "analytics", "speakers"))
    Path(lake.uri, "analytics", "recordings", "_delta_log", f"{0:020}.json").unlink()
    command = (
        r"`undertone backfill --stage score --force` publishes.*; people who were enrolled have to be enrolled again"
    )
    for stopped in (
        lambda: nightly(date=NEXT, settings=published_few),
        lambda: backfill(DAY, NEXT, stage="score", force=True, settings=published_few),
    ):
        with pytest.raises(DamagedFile, match=command):
            stopped()
    assert backfill(stage="score", force=True, settings=published_few).n_published_recordings == 3
    assert_same_tables(contents(lake.uri), before)
    assert nightly(date=NEXT, settings=published_few).n_published_recordings == 0


@only_exploring
def test_a_data_file_that_is_gone_costs_its_date_alone(published_few, contents):
    lake, before = Lake(published_few["lake"]), contents(published_few["lake"])
    next(Path(lake.uri, "analytics", "utterances").glob(f"date={DAY}/*.parquet")).unlink()
    command = f"`undertone backfill --from {DAY} --to {DAY} --stage score --force`"
    with pytest.raises(DamagedFile, match=command):
        query(lake, "SELECT count(*) FROM utterances")
    with pytest.raises(DamagedFile, match=command):
        nightly(date=NEXT, settings=published_few)
    assert backfill(DAY, DAY, stage="score", force=True, settings=published_few).n_published_recordings == 2
    assert_same_tables(contents(lake.uri), before)


def test_a_row_that_another_tool_deleted_stops_the_night(published_few):
    lake = Lake(published_few["lake"])
    lake.delta("utterances").delete("true")
    with pytest.raises(LakeError, match="found changes by other tools: utterances, version 1: DELETE"):
        nightly(date=NEXT, settings=published_few)
