"""Feature files: a shard is done with its `recordings`, and every attempt at an object is remembered."""

import datetime as dt
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from helpers.attempts import Attempts, attempts
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import lake as lakes
from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from data_contracts.rejects import RETRYABLE, Reason
from data_contracts.schema.feature_sets import RECORDING_FEATURES, SEGMENTS
from features.store import history, shard_files

DAY = dt.date(2026, 11, 21)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


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
    shard_files.write_shard(lake, tables, version=version, date=date, shard=shard, configuration="config")


def _current(lake: Lake) -> list[dict[str, Any]]:
    return history.recordings(lake, "v1", DAY).collect().to_dicts()


def test_recordings_are_written_last_whatever_their_place(lake, monkeypatch):
    written = []
    monkeypatch.setattr(Lake, "write_parquet", lambda self, path, table, metadata: written.append(path))
    tables = dict.fromkeys(["recordings", "segments", "egemaps"], SEGMENTS.empty_table())
    shard_files.write_shard(lake, tables, version="v1", date=DAY, shard="0f", configuration="")
    assert written == [
        f"features/{name}/version=v1/date=2026-11-21/0f.parquet" for name in ("segments", "egemaps", "recordings")
    ]


def test_a_shard_that_died_on_the_way_is_not_done(lake):
    lake.write_parquet(shard_files.path("segments", "v1", DAY, "0f"), SEGMENTS.empty_table())
    assert shard_files.shards(lake, "v1", DAY) == []
    assert shard_files.dates(lake, "v1") == []
    assert attempts(lake, "v1", DAY) == {}
    _write(lake, "0f", _row("a"))
    assert shard_files.shards(lake, "v1", DAY) == ["0f"]


def test_writing_twice_changes_nothing(lake):
    _write(lake, "0f", _row("a"))
    path = shard_files.path("recordings", "v1", DAY, "0f")
    first = lake.read(path)
    _write(lake, "0f", _row("a"))
    assert lake.read(path) == first
    assert len(_current(lake)) == 1


def test_files_say_what_made_them(lake):
    _write(lake, "0f", _row("a"))
    metadata = shard_files.read(lake, "segments", "v1", DAY, "0f").schema.metadata
    assert metadata[b"undertone.feature_version"] == b"v1"
    assert metadata[b"undertone.configuration"] == b"config"
    assert b"undertone.schema_version" in metadata


def test_versions_and_dates_are_kept_apart(lake):
    other = DAY - dt.timedelta(1)
    _write(lake, "0a", _row("a"))
    _write(lake, "0b", _row("b"), date=other)
    _write(lake, "0c", _row("c"), version="v2")
    assert shard_files.dates(lake, "v1") == [other, DAY]
    assert shard_files.dates(lake, "v2") == [DAY]
    assert [row["uri"] for row in _current(lake)] == ["a"]
    assert set(attempts(lake, "v2", DAY)) == {("c", "e1")}


def test_an_empty_date_has_the_columns_of_a_full_one(lake):
    empty = history.recordings(lake, "v1", DAY).collect()
    _write(lake, "0f", _row("a"))
    assert empty.is_empty()
    assert empty.schema == history.recordings(lake, "v1", DAY).collect().schema


def test_rows_have_their_shard_and_date(lake):
    _write(lake, "0123456789abcdef", _row("a"))
    assert [(row["shard"], row["date"]) for row in _current(lake)] == [("0123456789abcdef", DAY)]
    assert history.shard_members(lake, "v1", DAY).rows() == [("a", "e1", "0123456789abcdef")]


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
    """Two runs meet, or a forced one tries over: the failure was once shown, by the luck of its shard."""
    _write(lake, well, _row("a", tries=1, reason=reason))
    _write(lake, failed, _row("a", tries=1, hour=1, reason="unreadable"))
    assert [(row["shard"], row["reason"]) for row in _current(lake)] == [(well, reason)]
    assert attempts(lake, "v1", DAY)["a", "e1"].is_done


@pytest.mark.parametrize("etag", ["e1", "e2"])
def test_a_bad_night_hides_nothing_good(lake, etag):
    _write(lake, "0a", _row("a"))
    _write(lake, "0b", _row("a", etag=etag, tries=2, hour=1, reason="vanished"))
    assert [(row["etag"], row["status"]) for row in _current(lake)] == [("e1", "ok")]


@pytest.mark.parametrize("again", ["vanished", "truncated", None])
def test_a_retried_reject_has_its_last_result(lake, again):
    _write(lake, "0b", _row("a", reason="corrupt"))
    _write(lake, "0a", _row("a", tries=2, hour=1, reason=again))
    assert [(row["tries"], row["reason"]) for row in _current(lake)] == [(2, again)]
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(2, again is None, True, None)


def test_of_a_content_that_went_bad_the_later_failure_counts(lake):
    """Well, then overwritten by something corrupt, then gone: no read of before stands for what is there now."""
    _write(lake, "0a", _row("a", etag="e1"))
    _write(lake, "0b", _row("a", etag="e2", hour=1, reason="corrupt"))
    _write(lake, "0c", _row("a", etag="e2", hour=2, tries=2, reason="vanished"))
    assert [(row["etag"], row["reason"]) for row in _current(lake)] == [("e2", "vanished")]


def test_the_same_content_in_two_shards_is_one_row_always_the_same(lake):
    for shard in ("0b", "0a", "0c"):
        _write(lake, shard, _row("a"))
    assert [row["shard"] for row in _current(lake)] == ["0a"]


@pytest.mark.parametrize("reason", [None, *sorted(Reason)])
def test_a_permanent_reject_is_settled(lake, reason):
    _write(lake, "0a", _row("a", reason=reason))
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(1, reason is None, reason not in RETRYABLE, None)


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.ARCHIVED}))
def test_three_times_the_same_reason_is_enough(lake, reason):
    for tries in (1, 2, 3):
        _write(lake, f"0{tries}", _row("a", tries=tries, reason=reason))
        found = attempts(lake, "v1", DAY)["a", "e1"]
        assert found.exhausted == (reason if tries == 3 else None)
        assert found.is_done == (tries == 3 or reason not in RETRYABLE)


def test_an_archived_object_is_never_left_alone(lake):
    """It is the same content when it is restored, be that weeks later."""
    for tries in range(1, 6):
        _write(lake, f"0{tries}", _row("a", tries=tries, reason="archived"))
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(5, False, False, None)


def test_another_reason_counts_anew(lake):
    for tries, reason in enumerate(["unreadable", "vanished", "unreadable", "vanished"], start=1):
        _write(lake, f"0{tries}", _row("a", tries=tries, reason=reason))
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(4, False, False, None)
    _write(lake, "05", _row("a", tries=5, reason="vanished"))
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(5, False, False, "vanished")


def test_a_try_that_two_runs_made_counts_once(lake):
    for shard in ("0a", "0b", "0c"):
        _write(lake, shard, _row("a", tries=1, reason="vanished"))
    assert attempts(lake, "v1", DAY)["a", "e1"] == Attempts(1, False, False, None)


def test_every_content_of_a_uri_is_remembered_by_itself(lake):
    _write(lake, "0a", _row("a", etag="e1"), _row("a", etag="e2", tries=2, reason="vanished"))
    found = attempts(lake, "v1", DAY)
    assert found == {("a", "e1"): Attempts(1, True, True, None), ("a", "e2"): Attempts(2, False, False, None)}


def test_when_a_uri_was_last_read_is_that_of_all_its_contents(lake):
    _write(lake, "0a", _row("a", etag="e1", hour=9), _row("b", hour=1))
    _write(lake, "0b", _row("a", etag="e2", hour=2, reason="vanished"), _row("b", hour=3))
    rows = history.attempts(lake, "v1", DAY).sort("uri", "etag").select("uri", "etag", "read_after").rows()
    hours = {"a": NOON + dt.timedelta(hours=9), "b": NOON + dt.timedelta(hours=3)}
    assert rows == [("a", "e1", hours["a"]), ("a", "e2", hours["a"]), ("b", "e1", hours["b"])]


def test_history_that_lies_in_more_files_than_are_read_at_a_time(lake, monkeypatch):
    monkeypatch.setattr(shard_files, "_BATCH_FILES", 2)
    for tries in (1, 2, 3):
        _write(lake, f"0{tries}", _row("a", tries=tries, reason="vanished"))
    assert attempts(lake, "v1", DAY) == {("a", "e1"): Attempts(3, False, False, "vanished")}


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, *sorted(Reason)]), st.sampled_from("ef"), st.integers(1, 4), st.integers(0, 5)
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_the_shards_of_attempts_change_nothing(rows, random):
    """One row a URI; a good read is never hidden by a passing failure; the order of the files says nothing."""
    made = [
        {**_row("a", etag=etag, hour=hour, tries=tries, reason=reason), "shard": f"{place:02x}"}
        for place, (reason, etag, tries, hour) in enumerate(rows)
    ]
    frame = pl.from_dicts(made, infer_schema_length=None).cast({"reason": pl.String})
    (shown,) = history.latest_per_uri(frame.lazy()).collect().to_dicts()
    random.shuffle(made)
    shuffled = pl.from_dicts(made, infer_schema_length=None).cast({"reason": pl.String})
    assert history.latest_per_uri(shuffled.lazy()).collect().to_dicts() == [shown]
    if shown["reason"] in RETRYABLE:
        settled = [row for row in made if row["reason"] not in RETRYABLE]
        newest = max(settled, key=lambda row: row["read_at"], default=None)
        assert newest is None or any(row["status"] != "ok" for row in settled if row["read_at"] == newest["read_at"])
    else:
        assert shown["read_at"] == max(row["read_at"] for row in made if row["reason"] not in RETRYABLE)


def test_a_missing_feature_set(lake):
    with pytest.raises(
        DamagedFile, match=r"the logmel of shard 0f.*backfill --from 2026-11-21 --to 2026-11-21 --force"
    ):
        shard_files.read(lake, "logmel", "v1", DAY, "0f")


def test_on_s3(s3):
    lake = lakes.open(f"s3://{s3}/lake")
    assert history.recordings(lake, "v1", DAY).collect().is_empty()
    _write(lake, "0a", _row("a"), _row("b", reason="vanished"))
    assert [(row["uri"], row["shard"]) for row in _current(lake)] == [("a", "0a"), ("b", "0a")]
    found = attempts(lake, "v1", DAY)
    assert found == {("a", "e1"): Attempts(1, True, True, None), ("b", "e1"): Attempts(1, False, False, None)}
    assert shard_files.dates(lake, "v1") == [DAY]
