"""The main job over the sample corpus, under Prefect's harness: what one backfill publishes."""

import datetime as dt
import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.corpora import sample_corpus
from helpers.tables import assert_same_tables

from data_contracts import lake as lakes
from data_contracts.lake import Lake
from flows.backfill import backfill
from tasks.publication.commit import RUN_ID

N_OBJECTS, N_CLIPS = 34, 30
BAD = {"call-0032-empty.wav": "empty", "call-0033-truncated.flac": "truncated", "readme-not-audio.mp3": "not_audio"}


def test_from_audio_to_tables(settings, published):
    ledger, lake = published, Lake(settings["lake"])
    assert ledger.n_listed == ledger.extracted.n_objects == N_OBJECTS
    assert ledger.extracted.n_ok + ledger.extracted.n_rejected == N_OBJECTS
    recordings, utterances = lake.scan("recordings").collect(), lake.scan("utterances").collect()
    assert len(recordings) == N_OBJECTS
    assert utterances["recording_id"].n_unique() == N_CLIPS, "the copy under another name is counted once"
    rejects = lake.scan("rejects").collect()
    assert {Path(uri).name: reason for uri, reason in rejects.select("uri", "reason").iter_rows()} == BAD
    assert rejects["error"].null_count() == 0
    assert utterances["emotion"].is_in(["anger", "happiness", "neutral", "sadness"]).all()
    assert utterances.select(pl.sum_horizontal("^score_.*$")).to_series().is_between(0.999, 1.001).all()
    for column in ("emotion_model", "speaker_model", "feature_version", "run_id"):
        assert utterances[column].n_unique() == 1
    run = lake.scan("runs").collect().row(0, named=True)
    assert (run["n_read"], run["n_rejected"], run["n_published_recordings"]) == (N_OBJECTS, len(BAD), N_OBJECTS)
    assert run["n_published_utterances"] == len(utterances)
    assert (run["verdict"], run["status"]) in {("passed", "done"), ("warned", "done")}
    assert Path(run["validation"]).is_file()
    assert lake.names("staging") == ["publishing"], "the lock's number, and nothing of a run"


def test_daily_tables_add_up(settings, published):
    lake = lakes.open(settings["lake"])
    utterances = lake.scan("utterances").collect()
    for table in ("emotion_daily", "speaker_daily"):
        assert lake.scan(table).collect()["n_utterances"].sum() == len(utterances)
    speakers = lake.scan("speakers").collect()
    assert speakers["n_utterances"].sum() == len(utterances)
    assert speakers["speech_s"].sum() == pytest.approx((utterances["end_s"] - utterances["start_s"]).sum())


def test_what_says_too_little_is_published_without_an_emotion(settings, published, monkeypatch):
    """Half of the sample's utterances are called too short of voice; the days still add up, and nobody is lost."""
    least_s = 2.0
    monkeypatch.setattr("tasks.workers.score.MIN_VOICED_S", least_s)
    backfill(stage="score", force=True, settings=settings)
    lake = lakes.open(settings["lake"])
    utterances = lake.scan("utterances").collect()
    unsaid = pl.col("emotion").is_null()
    assert 0 < utterances.filter(unsaid).height < utterances.height
    assert utterances.select((unsaid == pl.col("emotion_reason").is_not_null()).all()).item()
    assert utterances.filter(unsaid)["score_anger"].null_count() == utterances.filter(unsaid).height
    assert set(utterances["emotion_reason"].drop_nulls()) == {"too_little_speech"}
    daily = lake.scan("emotion_daily").collect()
    assert daily["n_utterances"].sum() == utterances.filter(~unsaid).height
    assert lake.scan("speakers").collect()["n_utterances"].sum() == utterances.height


def test_one_commit_a_table_with_the_runs_id(settings, published):
    ledger = published
    lake = Lake(settings["lake"])
    for table in ("utterances", "speakers", "emotion_daily", "speaker_daily", "rejects", "recordings", "runs"):
        (commit,) = lake.delta(table).history()
        assert commit[RUN_ID] == ledger.run_id


def test_nights_one_by_one_are_the_backfill(contents, sample_lake, nights_lake):
    """In other shards too, and by another number of workers.

    Speakers are remembered from night to night, and found by the same steps in one run over all nights.
    """
    assert_same_tables(contents(nights_lake["lake"]), contents(sample_lake[0]))


def test_processes_do_the_same(settings, few, contents, few_lake):
    backfill(settings=settings | {"corpus": str(few), "cluster": "processes"})
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]))


def test_a_manifest_keeps_its_columns(settings, tmp_path):
    manifest = tmp_path / "calls.csv"
    manifest.write_text("uri,agent\n2026/11/19/call-0001-voice-a.flac,ada\n2026/11/20/call-0012-voice-b.flac,ben\n")
    backfill(settings=settings | {"manifest": str(manifest)})
    rows = Lake(settings["lake"]).scan("recordings").sort("uri").collect()
    assert rows["attributes"].to_list() == ['{"agent": "ada"}', '{"agent": "ben"}']
    assert rows["date"].to_list() == [dt.date(2026, 11, 19), dt.date(2026, 11, 20)]


def test_a_channel_has_its_name_and_may_get_another_without_its_audio(settings, tmp_path):
    """Channel names exist in the tables alone, so scoring again changes them."""
    corpus = sample_corpus(tmp_path / "corpus", "20/call-0014-voice-d-stereo.flac", "20/call-0015-voice-f.flac")
    here = settings | {"corpus": str(corpus), "channel_names": "agent,customer"}
    lake = Lake(here["lake"])

    def names() -> dict[str, str | None]:
        rows = lake.scan("utterances").join(lake.scan("recordings"), on="recording_id").collect()
        return {Path(uri).name[:9]: name for uri, name in rows.select("uri", "channel_name").iter_rows()}

    backfill(settings=here)
    assert names() == {"call-0014": None, "call-0015": None}, "all channels are mixed"
    here |= {"channels": "left"}
    backfill(settings=here)
    assert names() == {"call-0014": "agent", "call-0015": None}, "one channel, two names: nobody's"
    shutil.rmtree(corpus)
    backfill(stage="score", force=True, settings=here | {"channel_names": ["ada", "ben"]})
    assert names() == {"call-0014": "ada", "call-0015": None}
