"""Backfills of one stage: features without publication, scores without audio."""

import io
import shutil
from pathlib import Path

import pytest
from helpers.paths import WEIGHTS
from polars.testing import assert_frame_equal
from rich.console import Console

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from data_contracts.schema.tables import UTTERANCE_KEY
from flows.backfill import backfill
from flows.terminal.summary import print_summary
from models.emotion.model import EmotionModel

SHIPPED = WEIGHTS / "emotion"


def test_features_alone_publish_nothing(settings, few):
    here = settings | {"corpus": str(few)}
    ledger = backfill(stage="features", settings=here)
    lake = Lake(here["lake"])
    assert ledger.extracted.n_objects == 3
    assert lake.delta("utterances") is None
    assert backfill(stage="score", settings=here).n_published_recordings == 3


def test_score_alone_reads_no_audio(published_few):
    ledger = backfill(stage="score", force=True, settings=published_few | {"corpus": ""})
    assert ledger.n_listed == 0
    assert ledger.n_published_recordings == 3


def test_a_promoted_model_scores_what_is_stored_and_reads_no_audio(settings, own_registry, tmp_path, few):
    """The next run after a promotion, with the corpus gone: every row is the new version's, and the ledger says how."""
    corpus = tmp_path / "corpus"
    shutil.copytree(few, corpus)
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
        print_summary(Console(file=said, width=1000), ledger)
        assert "no audio was read (0 objects, 0 bytes)" in said.getvalue()
        assert f"{len(before)} utterances scored from stored features by {second.label}" in said.getvalue()
    assert backfill(stage="score", settings=here | {"corpus": ""}).row()["n_scored"] == 0, "done is done"


def test_scoring_without_features_says_what_to_do(settings):
    with pytest.raises(LakeError, match="without --stage score"):
        backfill(stage="score", settings=settings)
