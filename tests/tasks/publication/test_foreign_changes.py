"""Other tools in the tables: compaction is read through and published on, changes of rows are seen before that."""

import datetime as dt
import logging
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType
from helpers.lakes import make_lake
from helpers.small_lake import publish_night, utterance

from data_contracts import lake as lakes
from data_contracts.errors import DamagedFile, LakeError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions, snapshot
from flows.analytics.sql import query
from flows.workers.embedded_s3 import upload
from tasks.publication.foreign_changes import find_changes, require_no_changes
from tasks.publication.publish import publish_lock
from tasks.stages.compact import tidy_tables

DAY = dt.date(2026, 11, 21)
SQL = "SELECT count(*) AS n FROM utterances"


def _publish(lake: Lake, run_id: str, *names: str, **more) -> None:
    with publish_lock(lake, run_id):
        pass  # as every publication begins
    publish_night(lake, run_id, [utterance(name, DAY, **more) for name in names])


ANYWHERE = pytest.mark.parametrize("lake", ["folder", "s3"], indirect=True)


@pytest.fixture
def lake(request, tmp_path) -> Lake:
    """Two nights of two recordings each."""
    made = make_lake(tmp_path)
    for run_id, names in (("r1", "ab"), ("r2", "cd")):
        _publish(made, run_id, *names)
    if getattr(request, "param", "folder") == "folder":
        return made
    bucket = request.getfixturevalue("s3")
    upload(Path(made.uri), bucket, "lake/")
    return lakes.open(f"s3://{bucket}/lake")


def _table(lake: Lake) -> DeltaTable:
    return DeltaTable(lake.uri_of("analytics", "utterances"), storage_options=lake.storage_options)


def _vacuum(lake: Lake) -> None:
    _table(lake).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def _n(lake: Lake) -> int:
    asked, scanned = query(lake, SQL)["n"][0].as_py(), lake.scan("utterances").collect().height
    assert asked == scanned
    return asked


@ANYWHERE
def test_what_is_compacted_and_vacuumed_elsewhere_is_read_and_published_on(lake):
    _table(lake).optimize.compact()
    assert _n(lake) == 4
    _table(lake).optimize.z_order(["recording_id"])
    _vacuum(lake)
    assert _n(lake) == 4
    assert find_changes(lake) == {}
    _publish(lake, "r3", "e")
    assert _n(lake) == 5


@ANYWHERE
def test_a_delete_is_not_shown_is_told_and_stops_publishing(lake, caplog):
    _table(lake).delete("recording_id = 'a'")
    with caplog.at_level(logging.WARNING, "undertone.lake"):
        assert _n(lake) == 4
    (told,) = {record.getMessage() for record in caplog.records if record.name == "undertone.lake"}
    assert "was changed by another tool since run r2" in told
    assert "DELETE" in told
    words = r"version \d: DELETE, .*by delta-rs.*--accept-changes.*\.restore\(1\)"
    with pytest.raises(LakeError, match=words), publish_lock(lake, "r3"):
        pass
    with pytest.raises(LakeError, match=words):
        tidy_tables.fn(lake, keep_versions_days=7, dry_run=False)
    _vacuum(lake)
    with pytest.raises(DamagedFile, match=r"as run r2 published it.*gone.*other tools made version \d: DELETE"):
        _n(lake)


def test_what_is_accepted_is_published(lake):
    _table(lake).delete("recording_id = 'a'")
    lines = tidy_tables.fn(lake, keep_versions_days=7, dry_run=False, accept_changes=True)
    assert any(line.did.startswith("accepted version 2: DELETE") for line in lines)
    assert _n(lake) == 3
    require_no_changes(lake)
    _publish(lake, "r3", "e")
    assert _n(lake) == 4


def test_what_is_taken_back_is_no_change(lake):
    _table(lake).delete("recording_id = 'a'")
    _table(lake).restore(snapshot(lake).versions["utterances"])
    require_no_changes(lake)
    assert _n(lake) == 4


def test_a_column_of_another_tool_keeps_its_values(lake):
    _table(lake).alter.add_columns([Field("note", PrimitiveType("string"))])
    _table(lake).update({"note": "'seen'"})
    with pytest.raises(LakeError, match=r"ADD COLUMN.*UPDATE|UPDATE.*ADD COLUMN"):
        require_no_changes(lake)
    tidy_tables.fn(lake, keep_versions_days=7, dry_run=False, accept_changes=True)
    _publish(lake, "r3", "a", "e", emotion="neutral")
    rows = lake.scan("utterances").select("recording_id", "note", "emotion").sort("recording_id").collect()
    assert rows["note"].to_list() == ["seen"] * 4 + [None]
    assert rows.filter(pl.col("recording_id") == "a")["emotion"].to_list() == ["neutral"]


def test_our_own_commits_are_no_foreign_ones(lake):
    tidy_tables.fn(lake, keep_versions_days=0, dry_run=False)
    before = newest_versions(lake)
    require_no_changes(lake)
    assert (_n(lake), newest_versions(lake)) == (4, before)
