"""From a published folder to a registered version and its card."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import WEIGHTS
from helpers.sound import white_noise

from data_contracts.errors import ModelError, UsageError
from models import promotion, serving
from models.pretrained.emotion import PretrainedEmotion
from models.pretrained.kind import is_pretrained, load_speaker
from models.pretrained.pull import pull_model
from models.registry import loading
from models.registry.mlflow_registry import Registry


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))


def test_a_speaker_encoder_is_registered_with_speechbrains_threshold(ecapa, models, tmp_path):
    pulled = pull_model("speechbrain/spkrec-ecapa-voxceleb", tmp_path, place=str(ecapa))
    assert (pulled.name, pulled.origin.licence) == ("speaker", "apache-2.0")
    assert "0.25" in pulled.remarks[0]
    assert "measured on nothing" in pulled.remarks[0]
    ref = models.register("speaker", pulled.folder, alias="challenger", description="pulled")
    assert (ref.metadata["kind"], ref.metadata["dim"], ref.metadata["threshold"]) == ("speechbrain-ecapa", 16, 0.25)
    assert ref.metadata["pulled"]["source"] == "speechbrain/spkrec-ecapa-voxceleb"
    waveform, lengths = (
        np.random.default_rng(0).normal(0, 0.1, (2, 16_000)).astype(np.float32),
        np.array([9_000, 16_000]),
    )
    embedded = loading.predict(ref, {"waveform": waveform, "lengths": lengths})
    expected = load_speaker(pulled.folder).embed(torch.from_numpy(waveform), torch.from_numpy(lengths))
    np.testing.assert_allclose(embedded, expected, atol=1e-5)
    assert not [path for path in Path(loading.weights_folder(ref)).iterdir() if path.suffix in {".ckpt", ".py", ".pkl"}]
    card = loading.read_card(ref)
    assert card is not None
    for words in ("spkrec-ecapa-voxceleb", "apache-2.0", "Nothing was measured", "Not for authentication"):
        assert words in card


def test_a_resnet_of_wespeaker_is_registered_and_its_licence_shown(wespeaker, models, tmp_path):
    name = "pyannote/wespeaker-voxceleb-resnet34-LM"
    pulled = pull_model(name, tmp_path / "stated", place=str(wespeaker), wanted="speaker")
    ref = models.register("speaker", pulled.folder, alias="challenger", description="pulled")
    assert (ref.metadata["kind"], ref.metadata["dim"]) == ("wespeaker-resnet", 16)
    assert ref.metadata["pulled"]["licence"] == "CC BY 4.0"
    assert models.versions("speaker")[0].tags["undertone.licence"] == "CC BY 4.0"
    own = serving.own_speaker_encoder(ref)
    assert own is not None
    assert own.embed(torch.zeros(1, 16_000), torch.tensor([16_000])).shape == (1, 16)
    card = (pulled.folder / "README.md").read_text()
    for words in ("CC BY 4.0", "ICASSP 2023", "its authors name none", "Not for authentication"):
        assert words in card
    bare = tmp_path / "bare"
    shutil.copytree(wespeaker, bare, ignore=shutil.ignore_patterns("README.md"))
    assert pull_model(name, tmp_path / "unstated", place=str(bare)).origin.licence == "CC BY 4.0"


@pytest.mark.usefixtures("_all_is_speech")
def test_labelled_speech_sets_threshold_and_calibration(ecapa, corpus, tmp_path):
    pulled = pull_model("it", tmp_path, place=str(ecapa), corpora=[corpus])
    model = load_speaker(pulled.folder)
    assert model.threshold != 0.25
    assert model.calibration[0] > 0
    assert model.log_odds is not None, "and how durations are read, with the mean voice"
    assert model.centre.any()
    assert pulled.metrics["n_trials"] > 0
    assert "equal error rate" in (pulled.folder / "README.md").read_text()
    assert "Nothing was measured" not in (pulled.folder / "README.md").read_text()
    judged = promotion.evaluate("speaker", pulled.folder, corpus, voices=pulled.folder)
    assert judged["eer"] == pulled.metrics["eer"]


def test_clips_of_a_moment_say_nothing_of_durations(ecapa, spoken, tmp_path, monkeypatch):
    """Fitted to digits of 0.4 s, the evidence of two seconds was that all voices are one."""
    clips = [spoken(white_noise(6_400, seed=n).numpy(), speaker=f"s{n % 3}") for n in range(9)]
    monkeypatch.setattr("models.pretrained.pull.read_labels", lambda _: [clip.clip for clip in clips])
    monkeypatch.setattr("models.pretrained.pull.read_speech", lambda _: clips)
    pulled = pull_model("it", tmp_path, place=str(ecapa), corpora=[tmp_path])
    assert load_speaker(pulled.folder).log_odds is None
    assert "less than 1 s of speech" in pulled.remarks[1]


@pytest.mark.usefixtures("_all_is_speech")
def test_an_emotion_model_is_registered_and_judged_as_it_is(iemocap, corpus, models, tmp_path):
    pulled = pull_model(
        "speechbrain/emotion-recognition-wav2vec2-IEMOCAP", tmp_path, place=str(iemocap), wanted="emotion"
    )
    ref = models.register("emotion", pulled.folder, alias="challenger", description="pulled")
    assert ref.metadata["classes"] == ["neutral", "anger", "happiness", "sadness"]
    assert (ref.metadata["feature_set"], ref.metadata["feature_dim"]) == ("emotion_embeddings", 64)
    asked = {"waveform": np.zeros((2, 16_000), np.float32), "lengths": np.array([8_000, 16_000])}
    scores = loading.predict(ref, asked)
    assert scores.shape == (2, 4)
    np.testing.assert_allclose(scores.sum(1), 1.0)
    served = serving.pretrained_emotion_model(ref)
    assert isinstance(served, PretrainedEmotion)
    served.scores(torch.zeros(2, 64))
    assert "extractor" not in vars(served), "whoever scores stored vectors does not wait for it"
    card = (pulled.folder / "README.md").read_text()
    assert "`ang` as `anger`" in card
    assert "see source" in card
    judged = promotion.evaluate("emotion", pulled.folder, corpus, voices=pulled.folder)
    assert judged["uar"] == judged["uar_adaptive"]
    assert judged["n"] == 64
    assert "as it was pulled" in judged["protocol"]


def test_another_extractor_has_another_digest_and_another_head_has_not(iemocap, tmp_path):
    first = json.loads((pull_model("it", tmp_path / "1", place=str(iemocap)).folder / "config.json").read_text())
    other = tmp_path / "other"
    shutil.copytree(iemocap, other)
    torch.save({"0.w.weight": torch.ones(4, 64)}, other / "model.ckpt")
    again = json.loads((pull_model("it", tmp_path / "2", place=str(other)).folder / "config.json").read_text())
    assert first["extractor_digest"] == again["extractor_digest"]
    state = torch.load(other / "wav2vec2.ckpt")
    torch.save({name: value * 1.5 for name, value in state.items()}, other / "wav2vec2.ckpt")
    third = json.loads((pull_model("it", tmp_path / "3", place=str(other)).folder / "config.json").read_text())
    assert third["extractor_digest"] != first["extractor_digest"]


def test_what_cannot_be_pulled_is_refused(iemocap, ecapa, tmp_path):
    with pytest.raises(ModelError, match=r"expected a model for speaker .* found one for emotion"):
        pull_model("it", tmp_path / "1", place=str(iemocap), wanted="speaker")
    with pytest.raises(UsageError, match="--corpus"):
        pull_model("it", tmp_path / "2", place=str(iemocap), corpora=[tmp_path])
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "notes.txt").write_text("x")
    with pytest.raises(
        ModelError, match=r"expected hyperparams.yaml .* config.json .*avg_model.pt .*, found notes.txt"
    ):
        pull_model("it", tmp_path / "3", place=str(tmp_path / "odd"))
    (tmp_path / "odd" / "hyperparams.yaml").write_text("a: 1")
    with pytest.raises(ModelError, match=r"found no .ckpt"):
        pull_model("it", tmp_path / "4", place=str(tmp_path / "odd"))


def test_undertones_own_folders_are_none_of_these():
    assert not is_pretrained(WEIGHTS / "emotion")
    assert not is_pretrained(WEIGHTS / "speaker")


def test_without_transformers_it_says_what_to_install(iemocap, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'undertone\[hub\]'"):
        pull_model("it", tmp_path, place=str(iemocap))
