"""A pulled emotion model as champion: vectors are stored, heads score them, and no audio is read again."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.cli.main import app
from models.registry.loading import weights_folder
from models.registry.mlflow_registry import Registry
from models.speechbrain_compat import speechbrain_importable

with speechbrain_importable():  # parts of it import torchaudio
    import transformers

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 24,
}
CLIPS = ("call-0001-voice-a.flac", "call-0002-voice-b.flac")


@pytest.fixture
def corpus(tmp_path: Path, sample: Path) -> Path:
    folder = tmp_path / "corpus" / "2026" / "11" / "19"
    folder.mkdir(parents=True)
    for name in CLIPS:
        shutil.copy(sample / "2026/11/19" / name, folder)
    return tmp_path / "corpus"


@pytest.fixture
def here(settings, own_registry: Registry, corpus: Path) -> dict:
    return settings | {"corpus": str(corpus), "registry": own_registry.uri}


def _published(folder: Path, labels: list[str]) -> Path:
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**SIZES, id2label=dict(enumerate(labels)))
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def _pull(here, monkeypatch, folder: Path, *more: str) -> dict:
    for name in ("lake", "registry"):
        monkeypatch.setenv(f"UNDERTONE_{name.upper()}", here[name])
    answer = CliRunner().invoke(app, ["models", "pull", "who/what", "--from", str(folder), *more, "--json"])
    assert answer.exit_code == 0, answer.output + repr(answer.exception)
    return json.loads(answer.stdout)


def test_features_are_stored_heads_score_and_no_audio_is_read_again(here, own_registry, corpus, tmp_path, monkeypatch):
    told = _pull(here, monkeypatch, _published(tmp_path / "source", ["ang", "hap", "neu", "fea"]), "--as", "emotion")
    assert (told["model"], told["kind"], told["source"]) == ("emotion", "transformers", "who/what")
    ref = own_registry.promote("emotion", told["version"])
    ledger = backfill(settings=here)
    lake = Lake(here["lake"])
    utterances = lake.scan("utterances").collect()
    assert ledger.verdict in {"passed", "warned"}
    assert len(utterances) == len(CLIPS)
    assert set(utterances["emotion_model"]) == {ref.label}
    assert {"score_anger", "score_happiness", "score_neutral", "score_fear"} < set(utterances.columns)
    assert utterances.select(pl.sum_horizontal("^score_.*$")).to_series().is_between(0.999, 1.001).all()
    stored = lake.scan("emotion_embeddings").collect()
    assert stored["embedding"].dtype == pl.Array(pl.Float32, 24) or stored["embedding"].dtype.inner == pl.Float32
    assert query(lake, "SELECT count(*) n FROM emotion_embeddings").to_pylist() == [{"n": len(CLIPS)}]

    headed = tmp_path / "headed"
    shutil.copytree(weights_folder(ref), headed)
    save_file({"0.weight": torch.zeros(4, 24), "0.bias": torch.tensor([0.0, 0, 5, 0])}, headed / "head.safetensors")
    again = own_registry.register("emotion", headed, alias="champion", description="another head")
    shutil.rmtree(corpus)
    ledger = backfill(stage="score", settings=here | {"corpus": ""})
    assert (ledger.n_listed, ledger.n_published_utterances) == (0, len(CLIPS))
    after = lake.scan("utterances").collect()
    assert set(after["emotion_model"]) == {again.label}
    assert set(after["emotion"]) == {"neutral"}


def test_dimensions_without_classes(here, own_registry, tmp_path, monkeypatch):
    """No emotion, and the reason says why; days have no emotion to count."""
    labels = ["arousal", "dominance", "valence"]
    told = _pull(here, monkeypatch, _published(tmp_path / "source", labels))
    own_registry.promote("emotion", told["version"])
    ledger = backfill(settings=here)
    assert ledger.verdict in {"passed", "warned"}
    lake = Lake(here["lake"])
    utterances = lake.scan("utterances").collect()
    assert utterances["emotion"].null_count() == len(utterances) == len(CLIPS)
    assert set(utterances["emotion_reason"]) == {"no_classes"}
    assert utterances.select(labels).null_count().sum_horizontal().item() == 0
    assert lake.scan("emotion_daily").collect().is_empty()


def test_a_champion_with_dimensions_after_one_with_classes(here, own_registry, tmp_path, monkeypatch):
    """The table takes the new columns beside the old; another extractor needs the audio, and is told so."""
    backfill(settings=here)
    told = _pull(here, monkeypatch, _published(tmp_path / "source", ["arousal", "dominance", "valence"]))
    ref = own_registry.promote("emotion", told["version"])
    with pytest.raises(LakeError, match=f"{ref.label[:9]}.* without --stage score: the audio has to be read"):
        backfill(stage="score", settings=here)
    backfill(settings=here)
    lake = Lake(here["lake"])
    utterances = lake.scan("utterances").collect()
    assert set(utterances["emotion_reason"]) == {"no_classes"}
    assert utterances["valence"].null_count() == 0
    assert utterances["score_anger"].null_count() == len(utterances)
    assert lake.scan("emotion_daily").collect().is_empty()
    own_registry.promote("emotion", "previous")
    backfill(stage="score", settings=here)
    back = lake.scan("utterances").collect()
    assert back["emotion"].null_count() == back["score_anger"].null_count() == 0
    assert back["valence"].null_count() == len(back)
