"""Compaction of tables: fewer files, the same rows; old versions are removed once no reader may need them."""

import contextlib
import datetime as dt
import json
import os
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import tasks.publication.compaction
import tasks.stages.compact
from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions, snapshot
from data_contracts.schema.tables import REJECTS, SPEAKER_DAILY
from tasks import maintenance_report
from tasks.stages import compact

DAY = dt.date(2026, 11, 21)
DAY_S = 86_400
_TIMES = (("commitInfo", "timestamp"), ("remove", "deletionTimestamp"), ("add", "modificationTime"))


class Killed(BaseException):
    """No handler may catch it, as none catches a kill."""


def _nights(lake: Lake, n: int = 6, table: str = "speaker_daily") -> pl.DataFrame:
    """Write a commit and a file a night. Returns the table's rows."""
    for night in range(n):
        row = {"date": DAY + dt.timedelta(night), "speaker_id": "s", "emotion": "joy", "n_utterances": night}
        rows = pa.Table.from_pylist([row | {"speech_s": 1.0}], schema=SPEAKER_DAILY)
        write_deltalake(lake.uri_of("analytics", table), rows, mode="append", storage_options=lake.storage_options)
    return _rows(lake, table)


def _rows(lake: Lake, table: str = "speaker_daily", version: int | None = None) -> pl.DataFrame:
    delta = DeltaTable(lake.uri_of("analytics", table), version=version, storage_options=lake.storage_options)
    return pl.scan_delta(delta, storage_options=lake.polars_options).collect().sort("date")


def _tidy(lake: Lake, *, days: int = 7, dry_run: bool = False) -> dict[str, maintenance_report.MaintenanceReport]:
    return {line.what: line for line in compact.tidy_tables.fn(lake, keep_versions_days=days, dry_run=dry_run)}


def _age(lake: Lake, folder: str, days: float, *, checkpoints: bool = False) -> None:
    """Make all files, and the times in Delta's log, so many days older."""
    then = time.time() - days * DAY_S
    for path in Path(lake.path, folder).rglob("*"):
        if path.parent.name == "_delta_log" and "checkpoint" in path.name:
            if not checkpoints:
                path.unlink()  # it holds times too; the commits say all that it does
                continue
        elif path.parent.name == "_delta_log":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                for action, key in _TIMES:
                    if key in line.get(action, {}):
                        line[action][key] -= int(days * DAY_S * 1000)
            path.write_text("\n".join(map(json.dumps, lines)))
        os.utime(path, (then, then))


def test_fewer_files_have_the_same_rows(lake):
    before = _nights(lake)
    line = _tidy(lake)["analytics/speaker_daily"]
    assert (line.files_before, line.files_after, line.did) == (6, 1, "compacted")
    assert _rows(lake).equals(before)
    version = lake.delta("speaker_daily").version()
    again = _tidy(lake)["analytics/speaker_daily"]
    assert (again.files_before, again.files_after, again.did) == (1, 1, "as it was")
    assert lake.delta("speaker_daily").version() == version, "where there is nothing to do, nothing is written down"


def test_only_files_of_one_partition_are_joined(lake):
    for tries in range(3):
        for night in range(2):
            row = {"uri": f"{tries}", "etag": "e", "date": DAY + dt.timedelta(night), "reason": "corrupt"}
            rows = pa.Table.from_pylist([row | {"tries": 1, "run_id": "r"}], schema=REJECTS)
            write_deltalake(lake.uri_of("analytics", "rejects"), rows, mode="append", partition_by=["date"])
    told = _tidy(lake, dry_run=True)["analytics/rejects"]
    done = _tidy(lake)["analytics/rejects"]
    assert (done.files_before, done.files_after) == (told.files_before, told.files_after) == (6, 2)


def test_a_dry_run_reports_and_changes_nothing(lake):
    _nights(lake)
    _age(lake, "analytics", 20)
    _tidy(lake)
    _age(lake, "analytics", 20)
    _nights(lake, 2)
    files, version = maintenance_report.files_below(lake, ""), lake.delta("speaker_daily").version()
    line = _tidy(lake, dry_run=True)["analytics/speaker_daily"]
    assert line.did.startswith("would be compacted, 6 old files would be removed")
    assert (line.files_before, line.files_after) == (3, 1)
    assert (maintenance_report.files_below(lake, ""), lake.delta("speaker_daily").version()) == (files, version)


def test_versions_of_the_last_days_stay_readable_and_older_are_removed(lake):
    before = _nights(lake)
    _tidy(lake)
    _age(lake, "analytics", 5)
    assert _tidy(lake)["analytics/speaker_daily"].did == "as it was"
    assert _rows(lake, version=5).equals(before)
    _age(lake, "analytics", 5)
    line = _tidy(lake)["analytics/speaker_daily"]
    assert line.did.startswith("6 old files removed")
    assert _rows(lake).equals(before)
    with pytest.raises((FileNotFoundError, OSError, pl.exceptions.ComputeError)):
        _rows(lake, version=5)


def test_versions_can_be_kept_longer_than_delta_remembers(lake):
    """After a week Delta forgets which files a version replaced; asked to keep twenty days, they stay all the same."""
    before = _nights(lake)
    _tidy(lake)
    _age(lake, "analytics", 12)
    _nights(lake, 1)
    lake.delta("speaker_daily").create_checkpoint()
    _tidy(lake, days=20)
    assert _rows(lake, version=5).equals(before)
    _age(lake, "analytics", 12)
    assert "old files removed" in _tidy(lake, days=20)["analytics/speaker_daily"].did


def test_the_pinned_version_stays_readable_however_old(lake, monkeypatch):
    """Maintenance may die before the pointer moves; readers go on with the versions that it names."""
    before = _nights(lake)
    move_pointer(lake, "r", newest_versions(lake))
    pinned = lake.delta("speaker_daily").version()
    with monkeypatch.context() as death:
        death.setattr(tasks.stages.compact, "move_pointer", lambda *_: None)
        _tidy(lake)
        _age(lake, "analytics/speaker_daily", 12)
        _tidy(lake)
    assert snapshot(lake).versions == {"speaker_daily": pinned}
    assert snapshot(lake).scan("speaker_daily").collect().sort("date").equals(before)


def test_the_pointer_moves_to_the_compacted_versions(lake):
    before = _nights(lake)
    _tidy(lake)
    assert snapshot(lake).run_id is None, "where nothing was published as a whole, nothing is said to be"
    _nights(lake, 1)
    move_pointer(lake, "r", newest_versions(lake))
    reader = snapshot(lake)
    rows = reader.scan("speaker_daily").collect().sort("date", "n_utterances")
    _tidy(lake)
    now = snapshot(lake)
    assert (now.run_id, now.versions) == ("r", {"speaker_daily": lake.delta("speaker_daily").version()})
    assert len(now.delta("speaker_daily").file_uris()) == 1
    for pinned in (now, reader):
        assert pinned.scan("speaker_daily").collect().sort("date", "n_utterances").equals(rows)
    assert len(rows) == len(before) + 1


def test_the_log_is_read_from_a_checkpoint(lake):
    before = _nights(lake)
    _tidy(lake)
    log = lake.names("analytics/speaker_daily/_delta_log")
    assert "00000000000000000006.checkpoint.parquet" in log
    _age(lake, "analytics", 40, checkpoints=True)
    _nights(lake, 1)
    _tidy(lake)
    log = lake.names("analytics/speaker_daily/_delta_log")
    assert "00000000000000000002.json" not in log
    assert len(_rows(lake)) == len(before) + 1


def test_a_dead_run_is_rolled_forward_first_under_the_lock(lake, monkeypatch):
    """Compaction changes the versions that it builds upon, and so would another publication meanwhile."""
    held, said = [], []

    @contextlib.contextmanager
    def lock(_lake, holder, **_how):
        held.append(holder)
        yield
        held.clear()

    tidy = tasks.stages.compact.compact_table
    monkeypatch.setattr(tasks.stages.compact, "publish_lock", lock)
    monkeypatch.setattr(tasks.stages.compact, "roll_forward_dead_runs", lambda _: said.append(("finish", *held)))
    monkeypatch.setattr(
        tasks.stages.compact, "compact_table", lambda *a, **k: said.append(("tidy", *held)) or tidy(*a, **k)
    )
    _nights(lake, 2)
    _tidy(lake)
    assert said == [("finish", "maintain"), ("tidy", "maintain")]


@pytest.mark.parametrize("step", ["_vacuum", "_shorten_log"])
def test_a_death_at_any_step_is_repaired_by_another_run(lake, monkeypatch, step):
    before = _nights(lake)
    _tidy(lake)
    _age(lake, "analytics", 12)

    def die(*_args, **_kwargs):
        raise Killed

    with monkeypatch.context() as death:
        death.setattr(tasks.publication.compaction, step, die)
        with pytest.raises(Killed):
            _tidy(lake)
    _tidy(lake)
    assert _rows(lake).equals(before)
    assert len(lake.delta("speaker_daily").file_uris()) == 1


def test_compaction_works_on_s3(s3):
    lake = Lake(f"s3://{s3}/lake")
    before = _nights(lake, 3)
    assert maintenance_report.store_time(lake) <= dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    line = _tidy(lake)["analytics/speaker_daily"]
    assert (line.files_before, line.files_after) == (3, 1)
    assert _rows(lake).equals(before)
    held = maintenance_report.files_below(lake, "analytics/speaker_daily")
    delta = lake.delta("speaker_daily")
    how = {"retention_hours": 0, "enforce_retention_duration": False, "full": True}
    named = {f"analytics/speaker_daily/{path}" for path in delta.vacuum(dry_run=True, **how)}
    assert len(named & set(held)) == 3, "files are called alike by Delta and by the listing"


@pytest.mark.parametrize("days", [-40, 40])
def test_a_wrong_clock_removes_nothing(lake, monkeypatch, days):
    lake.write("staging/probe", b"")
    modified = lake.fs.modified(f"{lake.path}/staging/probe") + dt.timedelta(days)
    monkeypatch.setattr(type(lake.fs), "modified", lambda self, path: modified)
    with pytest.raises(LakeError, match="set the clock"):
        maintenance_report.store_time(lake)
