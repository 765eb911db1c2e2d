"""The main job over the sample corpus, under Prefect's harness."""

import datetime as dt
import io
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.paths import WEIGHTS
from polars.testing import assert_frame_equal
from rich.console import Console

import features.extraction.prefetch
from data_contracts import lake as lakes
from data_contracts.errors import LakeError, UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import versions
from data_contracts.schema.tables import UTTERANCE_KEY
from features.store import shard_files
from flows.backfill import backfill
from flows.dates import days
from flows.nightly import nightly
from flows.settings import Settings
from flows.terminal.summary import summary
from models.emotion.model import EmotionModel
from tasks.publication.commit import RUN_ID

SHIPPED = WEIGHTS / "emotion"
N_OBJECTS, N_CLIPS = 34, 30
BAD = {"call-0032-empty.wav": "empty", "call-0033-truncated.flac": "truncated", "readme-not-audio.mp3": "not_audio"}
FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}
"""Scores and centroids come from float16 embeddings and float32 batches of other sizes."""


def test_from_audio_to_tables(settings):
    ledger = backfill(settings=settings)
    lake = Lake(settings["lake"])
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


def test_what_says_too_little_is_published_without_an_emotion(settings, monkeypatch):
    """Half of the sample's utterances are called too short of voice; the days still add up, and nobody is lost."""
    least_s = 2.0
    monkeypatch.setattr("tasks.workers.score.LEAST_VOICED_S", least_s)
    backfill(settings=settings)
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


def test_again_publishes_nothing(settings, published):
    before = _commits(settings["lake"])
    ledger = backfill(settings=settings)
    assert (ledger.n_known, ledger.extracted.n_objects, ledger.n_published_recordings) == (N_OBJECTS, 0, 0)
    after = _commits(settings["lake"])
    assert {table: n for table, n in after.items() if table != "runs"} == {
        table: n for table, n in before.items() if table != "runs"
    }


def test_one_commit_a_table_with_the_runs_id(settings, published):
    ledger = published
    lake = Lake(settings["lake"])
    for table in ("utterances", "speakers", "emotion_daily", "speaker_daily", "rejects", "recordings", "runs"):
        (commit,) = lake.delta(table).history()
        assert commit[RUN_ID] == ledger.run_id


def test_shards_and_workers_change_nothing(settings, tmp_path, contents, published):
    other = settings | {"lake": str(tmp_path / "other"), "shard_bytes": 150_000, "workers": 1}
    backfill(settings=other)
    left, right = contents(settings["lake"]), contents(other["lake"])
    assert left.keys() == right.keys()
    for table in left:
        assert_frame_equal(left[table], right[table], **FLOAT)


def test_nights_one_by_one_are_the_backfill(settings, tmp_path, contents, sample_lake):
    """Speakers are remembered from night to night, and found by the same steps in one run over all nights."""
    other = settings | {"lake": str(tmp_path / "other"), "look_back_days": 0}
    for day in (19, 20, 21):
        nightly(date=dt.date(2026, 11, day), settings=other)
    left, right = contents(sample_lake[0]), contents(other["lake"])
    for table in left:
        assert_frame_equal(left[table], right[table], **FLOAT)


def test_what_came_late_is_found_in_the_look_back(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    late = corpus / "2026/11/19/call-0001-voice-a.flac"
    held = late.read_bytes()
    late.unlink()
    here = settings | {"corpus": str(corpus)}
    assert nightly(date=dt.date(2026, 11, 20), settings=here).n_listed == 21
    late.write_bytes(held)
    ledger = nightly(date=dt.date(2026, 11, 21), settings=here)
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (N_OBJECTS, 21, N_OBJECTS - 21)


def test_new_files_never_reshard_what_was_done(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus)}
    moved = sorted((corpus / "2026/11/20").glob("*.flac"))[:3]
    for path in moved:
        path.rename(tmp_path / path.name)
    backfill(settings=here)
    lake = Lake(here["lake"])
    (version,) = [name.removeprefix("version=") for name in lake.names("features/recordings")]
    before = set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))
    for path in moved:
        (tmp_path / path.name).rename(path)
    assert backfill(settings=here).extracted.n_objects == 3
    assert before < set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))


def test_a_changed_file_replaces_its_utterances(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    changed = corpus / "2026/11/19/call-0002-voice-b.flac"
    shutil.copy(corpus / "2026/11/21/readme-not-audio.mp3", changed)
    lake = Lake(here["lake"])
    before = lake.scan("utterances").collect()
    ledger = backfill(settings=here)
    after = lake.scan("utterances").collect()
    assert ledger.extracted.n_rejected == 1
    assert before["recording_id"].n_unique() - 1 == after["recording_id"].n_unique()
    assert lake.scan("recordings").collect().height == N_OBJECTS
    assert lake.scan("speakers").collect()["n_utterances"].sum() == len(after)


def test_features_alone_publish_nothing(settings):
    ledger = backfill(stage="features", settings=settings)
    lake = Lake(settings["lake"])
    assert ledger.extracted.n_objects == N_OBJECTS
    assert lake.delta("utterances") is None
    assert backfill(stage="score", settings=settings).n_published_recordings == N_OBJECTS


def test_score_alone_reads_no_audio(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    shutil.rmtree(corpus)
    ledger = backfill(stage="score", force=True, settings={**here, "corpus": ""})
    assert ledger.n_listed == 0
    assert ledger.n_published_recordings == N_OBJECTS


def test_a_promoted_model_scores_what_is_stored_and_reads_no_audio(settings, own_registry, tmp_path, sample):
    """The next run after a promotion, with the corpus gone: every row is the new version's, and the ledger says how."""
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus), "registry": own_registry.uri}
    first = backfill(settings=here)
    assert first.row()["bytes_read"] == sum(path.stat().st_size for path in corpus.rglob("*.*") if path.is_file())
    lake = Lake(here["lake"])
    before = lake.scan("utterances").sort(UTTERANCE_KEY).collect()
    model = EmotionModel.load(SHIPPED)
    model.temperature, model.adapted_temperature = 5.0, 5.0
    model.save(tmp_path / "second")
    second = own_registry.register("emotion", tmp_path / "second", alias="challenger", description="less sure")
    own_registry.promote("emotion", "2")

    shutil.rmtree(corpus)
    stored = {path: path.stat().st_mtime_ns for path in (Path(here["lake"]) / "features").rglob("*.parquet")}
    ledger = backfill(stage="score", settings=here | {"corpus": ""})
    row = ledger.row()
    assert (row["n_listed"], row["n_read"], row["bytes_read"], row["audio_hours"]) == (0, 0, 0, 0)
    assert row["n_scored"] == row["n_published_utterances"] == len(before)
    assert lake.scan("runs").filter(run_id=ledger.run_id).collect()["bytes_read"].to_list() == [0]
    after = lake.scan("utterances").sort(UTTERANCE_KEY).collect()
    assert set(before["emotion_model"]) == {first.emotion_model}
    assert set(after["emotion_model"]) == {second.label} == {ledger.emotion_model}
    assert_frame_equal(after.select(UTTERANCE_KEY), before.select(UTTERANCE_KEY))
    assert after["score_anger"].max() < before["score_anger"].max()
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    with io.StringIO() as said:
        summary(Console(file=said, width=1000), ledger)
        assert "no audio was read (0 objects, 0 bytes)" in said.getvalue()
        assert f"{len(before)} utterances scored from stored features by {second.label}" in said.getvalue()
    assert backfill(stage="score", settings=here | {"corpus": ""}).row()["n_scored"] == 0, "done is done"


def test_force_writes_the_same_shards_again(settings, contents, published):
    lake, before = Lake(settings["lake"]), contents(settings["lake"])
    files = sorted(
        path.relative_to(settings["lake"]) for path in (Path(settings["lake"]) / "features").rglob("*.parquet")
    )
    ledger = backfill(force=True, settings=settings)
    assert ledger.extracted.n_objects == N_OBJECTS
    again = sorted(
        path.relative_to(settings["lake"]) for path in (Path(settings["lake"]) / "features").rglob("*.parquet")
    )
    assert files == again
    for table, frame in contents(lake.uri).items():
        assert_frame_equal(frame, before[table], **FLOAT)


def test_processes_do_the_same(settings, tmp_path, contents, published):
    other = settings | {"lake": str(tmp_path / "other"), "cluster": "processes"}
    backfill(settings=other)
    left, right = contents(settings["lake"]), contents(other["lake"])
    for table in left:
        assert_frame_equal(left[table], right[table], **FLOAT)


def test_a_manifest_keeps_its_columns(settings, tmp_path, sample):
    manifest = tmp_path / "calls.csv"
    manifest.write_text("uri,agent\n2026/11/19/call-0001-voice-a.flac,ada\n2026/11/20/call-0012-voice-b.flac,ben\n")
    backfill(settings=settings | {"manifest": str(manifest)})
    rows = Lake(settings["lake"]).scan("recordings").sort("uri").collect()
    assert rows["attributes"].to_list() == ['{"agent": "ada"}', '{"agent": "ben"}']
    assert rows["date"].to_list() == [dt.date(2026, 11, 19), dt.date(2026, 11, 20)]


def test_a_channel_has_its_name_and_may_get_another_without_its_audio(settings, tmp_path, sample):
    """Where a channel is analysed for itself; the names are of the tables alone, so scoring again changes them."""
    corpus = tmp_path / "corpus/2026/11/20"
    corpus.mkdir(parents=True)
    for name in ("call-0014-voice-d-stereo.flac", "call-0015-voice-f.flac"):
        shutil.copy(sample / "2026/11/20" / name, corpus)
    here = settings | {"corpus": str(tmp_path / "corpus"), "channel_names": "agent,customer"}
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


def test_names_of_channels_come_from_file_or_environment(monkeypatch):
    assert Settings.load().channel_names == ()
    Path("undertone.toml").write_text('channel_names = ["agent", "customer"]\n')
    assert Settings.load().channel_names == ("agent", "customer")
    monkeypatch.setenv("UNDERTONE_CHANNEL_NAMES", "ada, ben")
    assert Settings.load().channel_names == ("ada", "ben")
    with pytest.raises(UsageError, match=r"channel_names: .*expected names such as 'agent,customer'"):
        Settings.load(channel_names=3)


def test_half_a_range_is_wrong_usage():
    with pytest.raises(UsageError, match="both ends"):
        days(dt.date(2026, 1, 1), None)
    with pytest.raises(UsageError, match="--from before --to"):
        days(dt.date(2026, 1, 2), dt.date(2026, 1, 1))


def test_flags_before_environment_before_file(tmp_path, monkeypatch):
    Path("undertone.toml").write_text('lake = "from-file"\ncorpus = "from-file"\nreaders = 3\n')
    monkeypatch.setenv("UNDERTONE_LAKE", "/from-environment")
    monkeypatch.setenv("UNDERTONE_CORPUS", "/from-environment")
    chosen = Settings.load(corpus="/from-flag")
    assert (chosen.corpus, chosen.lake, chosen.readers) == ("/from-flag", "/from-environment", 3)


def test_wrong_settings_name_themselves():
    with pytest.raises(UsageError, match=r"cluster.*expected auto"):
        Settings.load(cluster="quantum")
    with pytest.raises(UsageError, match="no_such"):
        Settings.load(no_such=1)


def _commits(lake: str) -> dict[str, int]:
    return versions(Lake(lake))


def test_an_earlier_copy_that_comes_late_moves_its_utterances(settings, tmp_path, sample):
    """A recording is counted under its first name by date; the day that had counted it loses it."""
    corpus = tmp_path / "corpus"
    first, copy = corpus / "2026/11/19/a.flac", corpus / "2026/11/21/b.flac"
    for path in (copy, corpus / "2026/11/21/other.flac"):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample / "2026/11/21/call-0023-voice-c.flac", corpus / "2026/11/21/other.flac")
    shutil.copy(sample / "2026/11/19/call-0005-voice-e.flac", copy)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    first.parent.mkdir(parents=True)
    shutil.copy(copy, first)
    backfill(settings=here)
    lake = Lake(here["lake"])
    by_day = lake.scan("emotion_daily").group_by("date").agg(pl.col("n_utterances").sum()).sort("date").collect()
    assert by_day.rows() == [(dt.date(2026, 11, 19), 1), (dt.date(2026, 11, 21), 1)]
    assert lake.scan("utterances").collect().height == 2


def test_a_failed_read_takes_nothing_away(settings, tmp_path, sample, monkeypatch, published):
    """Credentials that list and cannot read, under --force: what was read before stays, in store and tables."""
    lake = Lake(settings["lake"])
    before = lake.scan("utterances").collect()

    def denied(uri, _etag, patience=None):
        raise PermissionError(uri)

    with monkeypatch.context() as night:
        night.setattr(features.extraction.prefetch, "read_object", denied)
        ledger = backfill(force=True, settings=settings)
    assert ledger.extracted.n_rejected == N_OBJECTS
    assert lake.scan("utterances").collect().height == len(before)
    assert backfill(settings=settings).n_published_recordings == 0


def test_a_file_saved_on_another_day_does_not_flip_back(settings, tmp_path, sample):
    """Its old content stays in the store under its old day; what was read last is what the tables show."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    file = corpus / "a.flac"
    here = settings | {"corpus": str(corpus), "layout": "modified"}
    for day, source in ((19, "call-0001-voice-a"), (20, "call-0005-voice-e"), (18, "call-0002-voice-b")):
        shutil.copy(sample / f"2026/11/19/{source}.flac", file)
        stamp = dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC).timestamp()
        os.utime(file, (stamp, stamp))
        assert backfill(settings=here).n_published_recordings == 1
        assert backfill(settings=here).n_published_recordings == 0
        (row,) = Lake(here["lake"]).scan("recordings").collect().to_dicts()
        assert row["date"] == dt.date(2026, 11, day)
        assert set(Lake(here["lake"]).scan("utterances").collect()["recording_id"]) == {row["recording_id"]}
    assert backfill(force=True, settings=here).n_published_recordings == 1


def test_scoring_without_features_says_what_to_do(settings):
    with pytest.raises(LakeError, match="without --stage score"):
        backfill(stage="score", settings=settings)
