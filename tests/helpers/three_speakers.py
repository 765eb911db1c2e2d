"""A lake with three speakers on two days, and a check that its tables agree about them."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.schema.tables import (
    EMOTION_DAILY,
    FORGOTTEN_ID,
    RECORDINGS,
    SPEAKERS,
    TABLE_KEYS,
    utterances_schema,
)
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily, speaker_sums
from tasks.publication.manual_change import ManualChange, publish_manual_change

DAYS = [dt.date(2026, 11, day) for day in (19, 20)]
UTTERANCES = [  # recording, segment, day, seconds, speaker
    ("a", 0, 0, 2.0, "ada-lovelace"),
    ("a", 1, 0, 1.0, "spk_b"),
    ("b", 0, 1, 4.0, "spk_b"),
    ("c", 0, 1, 3.0, "spk_c"),
]
SOURCES = {"a": "north", "b": "north", "c": "south"}
SPEAKER_NAMES = {"ada-lovelace": ("Ada Lovelace", "enrolled"), "spk_b": ("spk_b", "found"), "spk_c": ("spk_c", "found")}


def publish_three_speakers(lake):
    """Publish them, with the daily tables of both days."""
    rows = [_utterance(*values) for values in UTTERANCES]
    utterances = pa.Table.from_pylist(rows, schema=utterances_schema(("anger",)))
    frame = pl.DataFrame(utterances)
    sums = {row["speaker_id"]: row for row in speaker_sums(frame.lazy()).collect().to_dicts()}
    speakers = [speaker_row(n, *names, sums[names[0]]) for n, names in enumerate(SPEAKER_NAMES.items())]
    tables = {
        "utterances": utterances,
        "speakers": pa.Table.from_pylist(speakers, schema=SPEAKERS),
        "recordings": _recordings(),
        "emotion_daily": _emotions(frame).to_arrow().cast(EMOTION_DAILY),
        "speaker_daily": speaker_daily(frame.lazy()).collect().to_arrow(),
    }
    publish_manual_change(lake, "a run", lambda _: ManualChange(tables, days=tuple(DAYS)))


def check_tables_agree(lake):
    """Sums are those of the utterances, and every speaker with utterances has a row."""
    utterances = lake.scan("utterances")
    sums = speaker_sums(utterances).sort("speaker_id").collect()
    speakers = lake.scan("speakers").filter(pl.col("n_utterances") > 0).sort("speaker_id").collect()
    columns = ["speaker_id", "first_seen", "last_seen", "n_utterances", "speech_s"]
    assert speakers.select(columns).rows() == sums.filter(pl.col("speaker_id") != FORGOTTEN_ID).select(columns).rows()
    daily = lake.scan("speaker_daily").sort("date", "speaker_id", "emotion").collect()
    assert daily.rows() == speaker_daily(utterances).collect().rows()
    emotions = lake.scan("emotion_daily").sort(TABLE_KEYS["emotion_daily"]).collect()
    assert emotions.rows() == _emotions(utterances.collect()).rows()


def speaker_row(n, speaker_id, name_and_kind, sums):
    name, kind = name_and_kind
    return {
        **sums,
        "speaker_id": speaker_id,
        "name": name,
        "kind": kind,
        "centroid": np.eye(4)[n].tolist(),
        "extractor": "e1",
        "sources": [],
        "run_id": "r0",
    }


def enrollment(name):
    """The row of a voice that is enrolled under this name."""
    return {"name": name, "kind": "enrolled", "centroid": [0.0, 1.0], "extractor": "e1", "sources": ["x.flac"]}


def _emotions(utterances):
    return emotion_daily(utterances.with_columns(source=pl.col("recording_id").replace_strict(SOURCES)))


def _recordings():
    """One of them without a source, as older versions published it: its folder names it."""
    common = {"etag": "e", "status": "ok", "run_id": "r0"}
    days = {recording_id: DAYS[day] for recording_id, _, day, *_ in UTTERANCES}
    rows = [
        common
        | {"uri": f"s3://calls/{days[name]:%Y/%m/%d}/{source}/{name}.flac", "recording_id": name, "source": source}
        for name, source in SOURCES.items()
    ]
    rows[0]["source"] = None
    dated = [row | {"date": days[row["recording_id"]]} for row in rows]
    return pl.DataFrame(dated, schema=pl.DataFrame(RECORDINGS.empty_table()).schema).to_arrow()


def _utterance(recording_id, segment, day, seconds, speaker):
    return {
        "recording_id": recording_id,
        "channel": 0,
        "segment": segment,
        "start_s": 0.0,
        "end_s": seconds,
        "emotion": "anger",
        "score_anger": 1.0,
        "speaker_id": speaker,
        "speaker_score": 1.0,
        "speaker_known": SPEAKER_NAMES[speaker][1] == "enrolled",
        "emotion_model": "e/1",
        "speaker_model": "s/1",
        "feature_version": "v",
        "run_id": "r0",
        "date": DAYS[day],
    }
