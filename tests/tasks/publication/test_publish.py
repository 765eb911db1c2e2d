"""Publication of staged tables: merged by key, one commit a table, made once, never over another run's rows."""

import datetime as dt

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.errors import PublishConflict
from data_contracts.lake.snapshot import newest_versions
from data_contracts.schema import tables
from data_contracts.schema.tables import TABLE_KEYS
from flows.analytics.sql import query
from tasks.publication.commit import ATTEMPT, RUN_ID
from tasks.publication.lock import hold_lock
from tasks.publication.publish import check_base, publish_staged
from tasks.run.ledger import Ledger
from tasks.stages.publish import roll_forward

DAY, NEXT = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
CLASSES = ("anger", "neutral")
NEW = ("quality_daily", "rejects_daily", "feature_daily", "drift")


def test_rows_are_inserted_updated_and_deleted(lake):
    _publish(lake, "r1", [_utterance("a", 0), _utterance("a", 1), _utterance("b", 0)])
    _publish(lake, "r2", [_utterance("a", 0, emotion="neutral")], gone=[("a", 1)])
    rows = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert rows.select("recording_id", "segment", "emotion", "run_id").rows() == [
        ("a", 0, "neutral", "r2"),
        ("b", 0, "anger", "r1"),
    ]
    assert lake.scan("runs").sort("run_id").collect()["run_id"].to_list() == ["r1", "r2"]


def test_publishing_again_changes_nothing(lake):
    base = newest_versions(lake)
    ledger = _stage(lake, "r1", [_utterance("a", 0)])
    _publish_staged(lake, ledger, base)
    before = newest_versions(lake)
    ledger = _stage(lake, "r1", [_utterance("a", 0)])
    _publish_staged(lake, ledger, base)
    assert newest_versions(lake) == before
    (commit,) = lake.delta("utterances").history()
    assert (commit[RUN_ID], commit[ATTEMPT]) == ("r1", "0")


def test_a_day_of_a_daily_table_is_replaced_completely(lake):
    daily = [_emotion_row(day, "anger") for day in (DAY, NEXT)]
    _publish(lake, "r1", [_utterance("a", 0)], daily=daily, dates=[DAY, NEXT])
    _publish(lake, "r2", [_utterance("a", 0)], daily=[_emotion_row(DAY, "neutral")], dates=[DAY])
    rows = lake.scan("emotion_daily").sort("date").collect()
    assert rows.select("date", "emotion").rows() == [(DAY, "neutral"), (NEXT, "anger")]


def test_days_between_replaced_ones_stay(lake):
    """A backfill touches every other day of three years: the days between are in its range, and not replaced."""
    days = [DAY + dt.timedelta(days=n) for n in range(1000)]
    _publish(lake, "r1", [], daily=[_emotion_row(day, "anger") for day in days], dates=days)
    _publish(lake, "r2", [], daily=[_emotion_row(day, "neutral") for day in days[::2]], dates=days[::2])
    rows = lake.scan("emotion_daily").sort("date").collect()
    assert rows["emotion"].to_list() == ["neutral", "anger"] * 500


def test_a_daily_table_of_an_earlier_version_gets_new_columns_on_touched_days(lake):
    """It was by date and emotion alone. Untouched days have no source, no kind of speaker, no interval."""
    columns = ("date", "emotion", "n_utterances", "speech_s", "mean_score")
    before = [{**_emotion_row(day, "anger"), "mean_score": 0.5} for day in (DAY, NEXT)]
    held = pa.Table.from_pylist(before).select(columns)
    write_deltalake(lake.uri_of("analytics", "emotion_daily"), held)
    assert lake.frame("emotion_daily", tables.EMOTION_DAILY).collect()["source"].to_list() == [None, None]
    _publish(lake, "r1", [], daily=[_emotion_row(DAY, "neutral")], dates=[DAY])
    asked = query(lake, "SELECT date, source, speaker_kind, emotion, mean_score FROM emotion_daily ORDER BY date")
    assert [tuple(row.values()) for row in asked.to_pylist()] == [
        (DAY, "calls", "found", "neutral", None),
        (NEXT, None, None, "anger", 0.5),
    ]
    _publish(lake, "r2", [], daily=[_emotion_row(NEXT, "neutral")], dates=[NEXT])
    rows = lake.scan("emotion_daily").collect()
    assert rows["source"].to_list() == ["calls", "calls"]


def test_days_staged_by_an_earlier_version_are_rolled_forward(lake):
    """It died publishing, and this version goes on: the dates are in another file, the rows have fewer columns."""
    _publish(lake, "r0", [], daily=[_emotion_row(day, "anger") for day in (DAY, NEXT)], dates=[DAY, NEXT])
    base = newest_versions(lake)
    _stage(lake, "dead", [], dates=[DAY])
    for table in ("emotion_daily", *NEW):
        lake.remove(f"staging/run=dead/tables/{table}.parquet")
    rows = pa.Table.from_pylist([_emotion_row(DAY, "neutral")]).drop_columns(["source", "speaker_kind"])
    lake.write_parquet("staging/run=dead/tables/emotion_daily.parquet", rows)
    lake.write_json("staging/run=dead/ready.json", {"base": {name: base[name] for name in base if name not in NEW}})
    assert roll_forward.fn(lake) == ["dead"]
    rows = lake.scan("emotion_daily").sort("date").collect()
    assert rows.select("date", "source", "emotion").rows() == [(DAY, None, "neutral"), (NEXT, "calls", "anger")]


def test_another_taxonomy_adds_its_columns(lake):
    _publish(lake, "r1", [_utterance("a", 0)])
    fear = _utterance("b", 0, emotion="fear") | {"score_fear": 1.0}
    _publish(lake, "r2", [fear], classes=("fear",))
    rows = lake.scan("utterances").sort("recording_id").collect()
    assert rows.select("score_anger", "score_fear").rows() == [(1.0, None), (None, 1.0)]
    again = _utterance("a", 0, emotion="fear") | {"score_fear": 1.0}
    _publish(lake, "r3", [again], classes=("fear",))
    rows = lake.scan("utterances").sort("recording_id").collect()
    assert rows.select("score_anger", "score_fear").rows() == [(None, 1.0), (None, 1.0)], "no score of before is left"


def test_a_table_of_an_earlier_version_gets_the_new_column(lake):
    """Channel names came later: rows published without them have none, new ones may."""
    before = pa.Table.from_pylist([_utterance("a", 0) | {"run_id": "r0"}], schema=tables.utterances_schema(CLASSES))
    before = before.drop_columns("channel_name")
    write_deltalake(lake.uri_of("analytics", "utterances"), before.cast(_nullable(before.schema)))
    held = lake.frame("utterances", tables.utterances_schema(CLASSES)).collect()
    assert held["channel_name"].to_list() == [None]
    _publish(lake, "r1", [_utterance("b", 0) | {"channel_name": "agent"}, _utterance("c", 0)])
    rows = lake.scan("utterances").sort("recording_id").collect()
    assert rows["channel_name"].to_list() == [None, "agent", None]
    _publish(lake, "r2", [_utterance("a", 0) | {"channel_name": "customer"}, _utterance("b", 0)])
    rows = lake.scan("utterances").sort("recording_id").collect()
    assert rows["channel_name"].to_list() == ["customer", None, None]
    asked = query(lake, "SELECT channel_name FROM utterances ORDER BY recording_id")
    assert asked["channel_name"].to_pylist() == ["customer", None, None]


def _nullable(schema):
    return pa.schema([field.with_nullable(True) for field in schema])


def test_rows_of_another_run_are_not_overwritten(lake):
    base = newest_versions(lake)
    _publish(lake, "r1", [_utterance("a", 0)])
    ledger = _stage(lake, "r2", [_utterance("b", 0)])
    with pytest.raises(PublishConflict, match="utterances went from version -1 to 0"):
        check_base(lake, ledger, base)
    assert lake.scan("utterances").collect()["recording_id"].to_list() == ["a"]


def test_an_audited_run_is_rolled_forward_once(lake):
    base = newest_versions(lake)
    _stage(lake, "dead", [_utterance("a", 0)])
    lake.write_json("staging/run=dead/ready.json", {"base": base})
    _stage(lake, "unaudited", [_utterance("b", 0)])
    assert roll_forward.fn(lake) == ["dead"]
    assert lake.scan("utterances").collect()["recording_id"].to_list() == ["a"]
    assert roll_forward.fn(lake) == []


def test_an_overtaken_run_is_not_rolled_forward(lake):
    base = newest_versions(lake)
    _stage(lake, "dead", [_utterance("a", 0)])
    lake.write_json("staging/run=dead/ready.json", {"base": base})
    ledger = _stage(lake, "alive", [_utterance("b", 0)])
    _publish_staged(lake, ledger, newest_versions(lake))
    assert roll_forward.fn(lake) == []
    assert lake.names("staging/run=dead") == ["run.json"], "its ledger tells that it died"


def _publish_staged(lake, ledger, base):
    with hold_lock(lake, ledger.run_id) as held:
        publish_staged(held, ledger, base)


def _publish(lake, run_id, rows, **more):
    _publish_staged(lake, _stage(lake, run_id, rows, **more), newest_versions(lake))


def _stage(lake, run_id, rows, *, gone=(), daily=(), dates=(), classes=CLASSES):
    """Write everything that a run leaves when its audit has passed."""
    staging = f"staging/run={run_id}"
    staged = {"utterances": (rows, tables.utterances_schema(classes)), "emotion_daily": (daily, tables.EMOTION_DAILY)}
    for table in list(TABLE_KEYS)[:-1]:
        content, schema = staged.get(table, ((), getattr(tables, table.upper(), None)))
        named = [row | ({"run_id": run_id} if table == "utterances" else {}) for row in content]
        lake.write_parquet(f"{staging}/tables/{table}.parquet", pa.Table.from_pylist(named, schema=schema))
    keys = pl.DataFrame(
        {"recording_id": [key[0] for key in gone], "channel": [0] * len(gone), "segment": [key[1] for key in gone]},
        schema={"recording_id": pl.String, "channel": pl.Int16, "segment": pl.Int32},
    )
    lake.write_parquet(f"{staging}/deletes/utterances.parquet", keys.to_arrow())
    days = pl.DataFrame({"date": list(dates)}, schema={"date": pl.Date})
    lake.write_parquet(f"{staging}/deletes/dates.parquet", days.to_arrow())
    ledger = Ledger(
        run_id,
        "backfill",
        dt.datetime(2026, 11, 22, tzinfo=dt.UTC),
        emotion_model="e/1",
        speaker_model="s/1",
        feature_version="v",
    )
    ledger.save(lake)
    return ledger


def _emotion_row(day, emotion):
    tally = {"n_utterances": 1, "speech_s": 1.0}
    return {"date": day, "source": "calls", "speaker_kind": "found", "emotion": emotion, **tally}


def _utterance(recording_id, segment, *, emotion="anger"):
    return {
        "recording_id": recording_id,
        "channel": 0,
        "segment": segment,
        "start_s": 0.0,
        "end_s": 1.0,
        "emotion": emotion,
        "score_anger": 1.0,
        "score_neutral": 0.0,
        "speaker_id": "spk",
        "speaker_score": 1.0,
        "speaker_known": False,
        "emotion_model": "e/1",
        "speaker_model": "s/1",
        "feature_version": "v",
        "date": DAY,
    }
