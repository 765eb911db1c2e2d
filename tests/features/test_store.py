"""The feature store: done when `recordings` is there, and what it remembers of every object."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from data_contracts import lake as lakes
from data_contracts.lake import Lake
from data_contracts.reasons import PASSING, Reason
from data_contracts.schemas import RECORDING_FEATURES, SEGMENTS
from features import store

DAY = dt.date(2026, 11, 21)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return lakes.open(str(tmp_path / "lake"))


def _row(uri: str, *, etag: str = "e1", hour: int = 0, tries: int = 1, reason: str | None = None) -> dict[str, Any]:
    return {
        "uri": uri,
        "etag": etag,
        "bytes": 1,
        "modified": NOON,
        "read_at": NOON + dt.timedelta(hours=hour),
        "tries": tries,
        "recording_id": f"{uri}-{etag}",
        "status": "rejected" if reason else "ok",
        "reason": reason,
    }


def _write(lake: Lake, shard: str, *rows: dict[str, Any], version: str = "v1", date: dt.date = DAY) -> None:
    tables = {
        "recordings": pa.Table.from_pylist(list(rows), schema=RECORDING_FEATURES),
        "segments": SEGMENTS.empty_table(),
    }
    store.write_shard(lake, tables, version=version, date=date, shard=shard, configuration="config")


def _current(lake: Lake) -> list[dict[str, Any]]:
    return store.recordings(lake, "v1", DAY).collect().to_dicts()


def test_recordings_are_written_last_whatever_their_place(lake, monkeypatch):
    written = []
    monkeypatch.setattr(Lake, "write_parquet", lambda self, path, table, metadata: written.append(path))
    tables = dict.fromkeys(["recordings", "segments", "egemaps"], SEGMENTS.empty_table())
    store.write_shard(lake, tables, version="v1", date=DAY, shard="0f", configuration="")
    assert written == [
        f"features/{name}/version=v1/date=2026-11-21/0f.parquet" for name in ("segments", "egemaps", "recordings")
    ]


def test_a_shard_that_died_on_the_way_is_not_done(lake):
    lake.write_parquet(store.path("segments", "v1", DAY, "0f"), SEGMENTS.empty_table())
    assert store.shards(lake, "v1", DAY) == []
    assert store.dates(lake, "v1") == []
    assert store.known(lake, "v1", DAY) == {}
    _write(lake, "0f", _row("a"))
    assert store.shards(lake, "v1", DAY) == ["0f"]


def test_writing_twice_changes_nothing(lake):
    _write(lake, "0f", _row("a"))
    path = store.path("recordings", "v1", DAY, "0f")
    first = lake.read(path)
    _write(lake, "0f", _row("a"))
    assert lake.read(path) == first
    assert len(_current(lake)) == 1


def test_files_say_what_made_them(lake):
    _write(lake, "0f", _row("a"))
    metadata = store.read(lake, "segments", "v1", DAY, "0f").schema.metadata
    assert metadata[b"undertone.feature_version"] == b"v1"
    assert metadata[b"undertone.configuration"] == b"config"
    assert b"undertone.schema_version" in metadata


def test_versions_and_dates_are_kept_apart(lake):
    other = DAY - dt.timedelta(1)
    _write(lake, "0a", _row("a"))
    _write(lake, "0b", _row("b"), date=other)
    _write(lake, "0c", _row("c"), version="v2")
    assert store.dates(lake, "v1") == [other, DAY]
    assert store.dates(lake, "v2") == [DAY]
    assert [row["uri"] for row in _current(lake)] == ["a"]
    assert set(store.known(lake, "v2", DAY)) == {("c", "e1")}


def test_an_empty_date_has_the_columns_of_a_full_one(lake):
    empty = store.recordings(lake, "v1", DAY).collect()
    _write(lake, "0f", _row("a"))
    assert empty.is_empty()
    assert empty.schema == store.recordings(lake, "v1", DAY).collect().schema


def test_a_row_says_its_shard_and_date(lake):
    _write(lake, "0123456789abcdef", _row("a"))
    assert [(row["shard"], row["date"]) for row in _current(lake)] == [("0123456789abcdef", DAY)]
    assert store.members(lake, "v1", DAY) == {("a", "e1"): "0123456789abcdef"}


def test_the_newest_content_of_a_uri_counts(lake):
    _write(lake, "0a", _row("a", etag="e9", hour=0), _row("b"))
    _write(lake, "0b", _row("a", etag="e1", hour=1))
    assert [(row["uri"], row["etag"], row["shard"]) for row in _current(lake)] == [("a", "e1", "0b"), ("b", "e1", "0a")]


def test_of_a_content_the_last_try_counts(lake):
    _write(lake, "0b", _row("a", tries=1, reason="unreadable"))
    _write(lake, "0a", _row("a", tries=2, reason="vanished"))
    assert [(row["tries"], row["reason"]) for row in _current(lake)] == [(2, "vanished")]
    _write(lake, "0c", _row("a", tries=3))
    assert [(row["tries"], row["status"]) for row in _current(lake)] == [(3, "ok")]


@pytest.mark.parametrize(("well", "failed"), [("0a", "0b"), ("0b", "0a")])
@pytest.mark.parametrize("reason", [None, "corrupt"])
def test_a_content_that_was_read_once_is_read(lake, well, failed, reason):
    """Two runs meet, or a forced one counts from one again: the failure was once shown, by the luck of its shard."""
    _write(lake, well, _row("a", tries=1, reason=reason))
    _write(lake, failed, _row("a", tries=1, reason="unreadable"))
    _write(lake, "0c", _row("a", tries=2, reason="vanished"))
    assert [(row["shard"], row["reason"]) for row in _current(lake)] == [(well, reason)]
    assert store.known(lake, "v1", DAY) == {("a", "e1"): -1}


def test_the_same_content_in_two_shards_is_one_row_always_the_same(lake):
    for shard in ("0b", "0a", "0c"):
        _write(lake, shard, _row("a"))
    assert [row["shard"] for row in _current(lake)] == ["0a"]


@pytest.mark.parametrize("reason", [None, *sorted(set(Reason) - PASSING)])
def test_what_is_settled_is_not_read_again(lake, reason):
    _write(lake, "0a", _row("a", reason=reason))
    assert store.known(lake, "v1", DAY) == {("a", "e1"): -1}


@pytest.mark.parametrize("reason", sorted(PASSING))
def test_what_may_pass_is_tried_three_times(lake, reason):
    for tries, expected in ((1, 1), (2, 2), (3, -1)):
        _write(lake, f"0{tries}", _row("a", tries=tries, reason=reason))
        assert store.known(lake, "v1", DAY) == {("a", "e1"): expected}


def test_every_content_of_a_uri_is_remembered_by_itself(lake):
    _write(lake, "0a", _row("a", etag="e1"), _row("a", etag="e2", tries=2, reason="vanished"))
    assert store.known(lake, "v1", DAY) == {("a", "e1"): -1, ("a", "e2"): 2}


def test_a_set_that_is_not_there(lake):
    with pytest.raises(FileNotFoundError):
        store.read(lake, "logmel", "v1", DAY, "0f")


def test_on_s3(s3):
    lake = lakes.open(f"s3://{s3}/lake")
    assert store.recordings(lake, "v1", DAY).collect().is_empty()
    _write(lake, "0a", _row("a"), _row("b", reason="vanished"))
    assert [(row["uri"], row["shard"]) for row in _current(lake)] == [("a", "0a"), ("b", "0a")]
    assert store.known(lake, "v1", DAY) == {("a", "e1"): -1, ("b", "e1"): 1}
    assert store.dates(lake, "v1") == [DAY]
