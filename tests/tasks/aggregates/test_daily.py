"""Daily tables against the same sums in DuckDB, and the source of each utterance."""

import datetime as dt

import duckdb
import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake
from polars.testing import assert_frame_equal

from data_contracts.schema import tables
from data_contracts.schema.tables import FORGOTTEN_ID
from features.corpus.sources import Sources
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily
from tasks.aggregates.quality_daily import quality_daily, rejects_daily
from tasks.staging import projection

DAYS = [dt.date(2026, 11, day) for day in (19, 20, 21)]
CLASSES = ("anger", "neutral")
SCHEMA = tables.utterances_schema(CLASSES)
RECORDINGS = pl.DataFrame(tables.RECORDINGS.empty_table()).schema
UTTERANCES = pl.DataFrame(SCHEMA.empty_table()).schema


@pytest.fixture(scope="module")
def recordings() -> pl.DataFrame:
    """Three days of two sources, a fifth of them rejected, some without quality measures."""
    random = np.random.default_rng(0)
    rows = []
    for n in range(90):
        rejected = n % 5 == 0
        rows.append(
            {
                "uri": f"s3://calls/{n:03}.flac",
                "recording_id": f"{n:032x}",
                "date": DAYS[n % 3],
                "source": ("north", "south")[n % 2],
                "status": "rejected" if rejected else "ok",
                "reason": ("silent", "corrupt")[n % 10 == 0] if rejected else None,
                "seconds": None if n % 10 == 0 else random.uniform(1, 60),
                "speech_s": 0.0 if rejected else random.uniform(1, 30),
                "loudness_lufs": random.normal(-23, 4),
                "snr_db": None if n % 7 == 0 else random.normal(20, 5),
                "bandwidth_hz": random.choice([4_000.0, 8_000.0]),
                "truncated_s": (None, 0.0, 0.0, 0.25)[n % 4],
                "clipped_share": random.uniform(0, 0.01),
            }
        )
    return pl.DataFrame(rows, schema=RECORDINGS)


@pytest.fixture(scope="module")
def utterances(recordings: pl.DataFrame) -> pl.DataFrame:
    """Up to six a usable recording, one in nine without an emotion."""
    random = np.random.default_rng(1)
    rows = []
    for recording in recordings.filter(pl.col("status") == "ok").iter_rows(named=True):
        for segment in range(random.integers(7)):
            anger, silent, who = random.uniform(), random.uniform() < 1 / 9, int(random.integers(5))
            told = (
                {"emotion_reason": "too_little_speech"}
                if silent
                else {
                    "emotion": "anger" if anger > 0.5 else "neutral",
                    "score_anger": anger,
                    "score_neutral": 1 - anger,
                }
            )
            rows.append(
                {
                    "recording_id": recording["recording_id"], "channel": 0, "segment": segment,
                    "start_s": 0.0, "end_s": random.uniform(0.5, 5), "date": recording["date"],
                    "speaker_id": [FORGOTTEN_ID, "ada", "spk_1", "spk_2", None][who], "speaker_known": who == 1, **told,
                }
            )  # fmt: skip
    return pl.DataFrame(rows, schema=UTTERANCES)


@pytest.fixture(scope="module")
def with_sources(recordings, utterances) -> pl.DataFrame:
    return utterances.join(recordings.select("recording_id", "source"), on="recording_id")


def test_emotions_of_a_day(with_sources):
    told = duckdb.sql("""
        SELECT date, source, CASE WHEN speaker_id IS NULL THEN 'unknown'
               WHEN speaker_id = 'forgotten' THEN 'forgotten'
               WHEN speaker_known THEN 'enrolled' ELSE 'found' END AS speaker_kind,
               emotion, count(*) AS n_utterances, sum(end_s - start_s) AS speech_s,
               avg(greatest(score_anger, score_neutral)) AS mean_score
        FROM with_sources WHERE emotion IS NOT NULL GROUP BY ALL ORDER BY ALL
    """).pl()
    found = emotion_daily(with_sources)
    assert found.columns == tables.EMOTION_DAILY.names
    assert_frame_equal(found.select(told.columns), told, abs_tol=1e-9)
    sure = found.filter(pl.col("score_low").is_not_null())
    assert len(sure) > 20
    assert (sure["score_low"] < sure["mean_score"]).all()
    assert (sure["mean_score"] < sure["score_high"]).all()


def test_speakers_of_a_day(with_sources):
    told = duckdb.sql("""
        SELECT date, speaker_id, emotion, count(*) AS n_utterances, sum(end_s - start_s) AS speech_s
        FROM with_sources WHERE emotion IS NOT NULL AND speaker_id IS NOT NULL GROUP BY ALL ORDER BY ALL
    """).pl()
    assert_frame_equal(speaker_daily(with_sources.lazy()).collect(), told, abs_tol=1e-9)


def test_quality_of_a_day(recordings, with_sources):
    told = duckdb.sql("""
        SELECT date, source, count(*) AS n_recordings, count(*) FILTER (status = 'ok') AS n_ok,
               count(*) FILTER (status = 'rejected') AS n_rejected,
               sum(seconds) FILTER (status = 'ok') AS seconds,
               quantile_cont(snr_db::DOUBLE, 0.1) FILTER (status = 'ok') AS snr_db_p10,
               median(loudness_lufs::DOUBLE) FILTER (status = 'ok') AS loudness_lufs,
               quantile_cont(bandwidth_hz::DOUBLE, 0.9) FILTER (status = 'ok') AS bandwidth_hz_p90,
               avg(clipped_share::DOUBLE) FILTER (status = 'ok') AS clipped_share,
               count(*) FILTER (status = 'ok' AND truncated_s > 0) AS n_truncated,
               sum(truncated_s) FILTER (status = 'ok') AS truncated_s
        FROM recordings GROUP BY ALL ORDER BY ALL
    """).pl()
    found = quality_daily(recordings, with_sources)
    assert set(found.columns) == set(tables.QUALITY_DAILY.names)
    assert_frame_equal(found.select(told.columns), told, abs_tol=1e-9)
    spoken = duckdb.sql("""
        SELECT date, source, count(*) AS n_utterances, count(emotion_reason) AS n_abstained
        FROM with_sources GROUP BY ALL ORDER BY ALL
    """).pl()
    assert_frame_equal(found.select(spoken.columns), spoken)


def test_rejects_of_a_day(recordings):
    told = duckdb.sql("""
        SELECT date, source, reason, count(*) AS n FROM recordings WHERE status = 'rejected' GROUP BY ALL ORDER BY ALL
    """).pl()
    assert_frame_equal(rejects_daily(recordings), told)


def test_a_model_of_dimensions_does_not_abstain(recordings, with_sources):
    none_at_all = with_sources.with_columns(emotion=None, emotion_reason=pl.lit("no_classes")).cast(
        {"emotion": pl.String}
    )
    assert quality_daily(recordings, none_at_all)["n_abstained"].sum() == 0
    assert emotion_daily(none_at_all).is_empty()


def test_no_rows_give_no_days(recordings, with_sources):
    nothing = with_sources.clear()
    assert emotion_daily(nothing).is_empty()
    assert rejects_daily(recordings.clear()).is_empty()
    assert quality_daily(recordings.clear(), nothing).is_empty()


@pytest.fixture
def lake(lake, recordings, utterances):
    """The tables published, the recordings by a version without sources."""
    write_deltalake(lake.uri_of("analytics", "utterances"), utterances.to_arrow())
    write_deltalake(lake.uri_of("analytics", "recordings"), recordings.drop("source").to_arrow())
    return lake


def test_the_projection_joins_published_and_staged_rows(lake, recordings, utterances):
    days = pl.Series(DAYS[:1])
    staged = recordings.filter(pl.col("date") == DAYS[0])[:4].with_columns(source=pl.lit("staged"))
    read = projection.recordings(lake, days, staged, Sources("s3://calls", "modified"))
    assert set(read["uri"]) == set(recordings.filter(pl.col("date") == DAYS[0])["uri"])
    assert dict(read["source"].value_counts().iter_rows()) == {"staged": 4, "calls": len(read) - 4}
    again, gone = utterances.filter(pl.col("date") == DAYS[0])[:3], utterances.filter(pl.col("date") == DAYS[0])[3:5]
    after = projection.utterances(lake, SCHEMA, days, again, gone)
    assert len(after) == utterances.filter(pl.col("date") == DAYS[0]).height - 2


def test_the_source_is_that_of_the_first_recording_on_the_day(lake, utterances):
    one = utterances[:1]
    own = {"recording_id": one["recording_id"][0], "status": "ok"}
    rows = [
        own | {"uri": "s3://calls/b", "date": one["date"][0], "source": "later"},
        own | {"uri": "s3://calls/a", "date": one["date"][0], "source": "first"},
        own | {"uri": "s3://calls/0", "date": one["date"][0], "source": "rejected", "status": "rejected"},
        own | {"uri": "s3://calls/00", "date": DAYS[0] - dt.timedelta(days=9), "source": "before"},
    ]
    named = pl.DataFrame(rows, schema=RECORDINGS)
    (source,) = projection.utterances_with_sources(lake, one, named, Sources())["source"]
    assert source == "first"


def test_the_source_comes_from_a_copy_where_the_uri_got_another_content(lake, utterances, recordings):
    """Its own day lists it no more, a copy on another day does; without any listing the source is unknown."""
    nothing = recordings.clear()
    (source,) = projection.utterances_with_sources(lake, utterances[:1], nothing, Sources("s3://calls", "modified"))[
        "source"
    ]
    assert source == "calls"
    stranger = utterances[:1].with_columns(recording_id=pl.lit("f" * 32))
    (source,) = projection.utterances_with_sources(lake, stranger, nothing, Sources())["source"]
    assert source == tables.UNKNOWN_SOURCE
