"""Published daily tables and drift, on the dates that a run touched."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from helpers.mailboxes import webhook

import flows.settings.configs
from data_contracts.lake import Lake
from data_contracts.lake.pointer import POINTER
from data_contracts.lake.snapshot import move_pointer, newest_versions
from data_contracts.schema.tables import TABLE_KEYS
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.maintain import maintain
from models.drift.distance import DriftConfig
from tasks.aggregates.drift import N_MEASURES

DAY = dt.date(2026, 11, 19)
NEW = ("quality_daily", "rejects_daily", "feature_daily", "drift")


@pytest.fixture
def here(settings, few):
    """Two days, on the first of which one of two files is rejected."""
    return settings | {"corpus": str(few)}


def test_drift_is_a_warning_that_stops_nothing(here, monkeypatch):
    """Two days are few, and unlike; a configuration that is content with little says so."""
    least = {"least_days": 1, "least_recordings": 1, "least_utterances": 1}
    eager = DriftConfig(**least, psi=1e-9, share=1e-9, cosine=1e-9, false_alarms=N_MEASURES)
    monkeypatch.setattr(flows.settings.configs, "drift_config", lambda settings: eager)
    with webhook() as mailbox:
        monkeypatch.setenv("UNDERTONE_NOTIFY", f"json://127.0.0.1:{mailbox.port}")
        ledger = backfill(settings=here)
    lake = Lake(here["lake"])
    assert (ledger.status, ledger.verdict) == ("done", "warned")
    (told,) = ledger.drift
    assert told in ledger.failures
    assert " on 2026-11-20 (psi " in told
    (message,) = mailbox.taken
    assert message["title"] == "Undertone: backfill found drift"
    assert told in message["message"]
    verdict = lake.read_json(f"validation/run={ledger.run_id}/verdict.json")
    (failure,) = [failure for failure in verdict["failures"] if failure["columns"] == "drifted"]
    assert (verdict["verdict"], failure["severity"]) == ("warned", "warning")
    assert lake.scan("runs").collect()["verdict"].to_list() == ["warned"]
    rows = lake.scan("drift").collect()
    assert set(rows.filter(pl.col("date") == DAY)["over"]) == {None}, "nothing was before it"
    assert {"psi", "share"} <= set(rows.filter("over")["method"])


def test_every_table_is_there_from_the_first_run_and_two_days_are_too_few_to_judge(published_few, few_lake):
    ledger, lake = few_lake[1], Lake(published_few["lake"])
    counts = {table: query(lake, f"SELECT count(*) AS n FROM {table}")["n"][0].as_py() for table in TABLE_KEYS}
    assert min(counts.values()) > 0
    assert lake.scan("drift").collect()["over"].null_count() == counts["drift"] == 2 * N_MEASURES
    assert ledger.drift == []
    source = Path(published_few["corpus"]).name
    for table in ("recordings", "emotion_daily", "quality_daily", "rejects_daily"):
        assert set(lake.scan(table).collect()["source"]) == {source}
    read = lake.scan("quality_daily").collect()
    assert (read["n_recordings"].sum(), read["n_rejected"].sum()) == (3, lake.scan("rejects").collect().height)


def test_a_lake_of_before_gains_them_on_the_dates_that_are_touched(published_few):
    """Published without sources, kinds of speakers, quality and drift: it goes on, is asked, and is maintained."""
    here, lake = published_few, Lake(published_few["lake"])
    _as_before(lake)
    assert backfill(settings=here).n_published_recordings == 0, "new columns alone are no reason to publish"
    assert lake.delta("quality_daily") is None
    backfill(start=DAY, end=DAY, stage="score", force=True, settings=here)
    for table in ("recordings", "emotion_daily"):
        rows = lake.scan(table).select("date", "source").unique().collect()
        assert rows.sort("date")["source"].is_null().to_list() == [False, True]
    for table in NEW:
        assert set(lake.scan(table).collect()["date"]) == {DAY}
    told = query(lake, "SELECT date, sum(n_utterances) AS n FROM emotion_daily GROUP BY date ORDER BY date")
    said = query(lake, "SELECT date, count(emotion) AS n FROM utterances GROUP BY date ORDER BY date")
    assert told["n"].to_pylist() == said["n"].to_pylist()
    lines = {line.what for line in maintain(settings=here)}
    assert {f"analytics/{table}" for table in NEW} <= lines


def _as_before(lake):
    """Lake as version 0.1.0 left it."""
    now = {table: lake.scan(table).collect() for table in ("recordings", "emotion_daily")}
    daily = now["emotion_daily"].group_by("date", "emotion").agg(pl.col("n_utterances").sum(), pl.col("speech_s").sum())
    before = {"recordings": now["recordings"].drop("source"), "emotion_daily": daily.with_columns(mean_score=0.5)}
    (run_id,) = lake.scan("runs").collect()["run_id"]
    lake.remove(POINTER)
    for table, rows in before.items():
        lake.remove(f"analytics/{table}")
        parts = ["date"] if table == "recordings" else None
        write_deltalake(lake.uri_of("analytics", table), rows.to_arrow(), partition_by=parts)
    for table in NEW:
        lake.remove(f"analytics/{table}")
    move_pointer(lake, run_id, newest_versions(lake))
