"""Snapshots: readers see the tables as one run left them while another publishes."""

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.errors import UsageError
from data_contracts.lake.snapshot import move_pointer, newest_versions, snapshot


def test_an_incomplete_publication_is_not_seen(lake):
    _write(lake, "utterances", 1)
    _write(lake, "emotion_daily", 1)
    move_pointer(lake, "r1", newest_versions(lake))
    _write(lake, "utterances", 2)  # the next run has come this far
    pinned = snapshot(lake)
    assert (pinned.run_id, pinned.versions) == ("r1", {"utterances": 0, "emotion_daily": 0})
    assert pinned.scan("utterances").collect()["n"].to_list() == [1]
    assert lake.scan("utterances").collect()["n"].to_list() == [1], "by its name, without the pointer in hand"
    _write(lake, "emotion_daily", 2)
    move_pointer(lake, "r2", newest_versions(lake))
    assert pinned.scan("emotion_daily").collect()["n"].to_list() == [1], "what is pinned stays"
    assert snapshot(lake).scan("emotion_daily").collect()["n"].to_list() == [2]


def test_a_lake_without_a_pointer_is_read_at_its_newest_versions(lake):
    assert snapshot(lake).delta("utterances") is None
    _write(lake, "utterances", 1)
    assert snapshot(lake).run_id is None
    assert snapshot(lake).scan("utterances").collect()["n"].to_list() == [1]


def test_a_missing_table_is_named(lake):
    _write(lake, "utterances", 1)
    move_pointer(lake, "r1", newest_versions(lake))
    with pytest.raises(UsageError, match="rejects has nothing published by r1 or before"):
        snapshot(lake).scan("rejects")
    with pytest.raises(UsageError, match=r"expected one of utterances.*found 'uterances'"):
        snapshot(lake).scan("uterances")


def test_versions_count_from_the_first_publication(lake):
    assert set(newest_versions(lake).values()) == {-1}
    _write(lake, "utterances", 1)
    _write(lake, "utterances", 2)
    assert newest_versions(lake)["utterances"] == 1


def _write(lake, table, n):
    write_deltalake(lake.uri_of("analytics", table), pa.table({"n": [n]}), mode="overwrite")
