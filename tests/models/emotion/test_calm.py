"""Evaluation on calm speech without labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from data_contracts.errors import UsageError
from models.emotion.calm import evaluate_calm
from models.emotion.dataset import FEATURE_NAMES, current_fingerprints
from models.emotion.logit_statistics import LogitStatistics, contrasts
from models.emotion.model import CLASSES, EmotionModel, Member
from models.emotion.speaker_adaptation import Prior

pytestmark = pytest.mark.usefixtures("_all_is_speech")


@pytest.fixture(scope="module")
def model() -> EmotionModel:
    """A model that hears nothing: what is expected decides."""
    n = len(FEATURE_NAMES)
    silent = Member(n, len(CLASSES), hidden=0)
    torch.nn.init.zeros_(silent.outer.weight)
    torch.nn.init.zeros_(silent.outer.bias)
    return EmotionModel(
        [silent],
        linear=silent,
        mean=torch.zeros(n),
        scale=torch.ones(n),
        prior=Prior(torch.ones(n), torch.ones(n), torch.ones(n), torch.zeros(len(CLASSES), n)),
        feature_names=FEATURE_NAMES,
        features=current_fingerprints(),
        statistics=LogitStatistics(2 * contrasts(4).T, torch.eye(3).double(), 2 * torch.eye(3).double()),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("ann/1.wav", "ann/2.wav", "bob_1.wav", "bob_2.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, random.normal(0, 0.1, 24_000), 16_000)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    (tmp_path / "README.md").write_text("who reads what")
    return tmp_path


def test_a_folder_is_a_night_and_its_subfolders_are_speakers(model, folder) -> None:
    found = evaluate_calm(model, folder, speaker=None, emotion_prior="natural")
    assert (found["n"], found["n_recordings"], found["n_unusable"]) == (4, 4, 1)
    assert set(found["by_speaker"]) == {"ann", "bob"}
    assert sum(found["emotions"].values()) == pytest.approx(1, abs=1e-3)
    assert found["neutral"] == found["emotions"]["neutral"] == 1.0
    assert found["not_neutral_confidence"] is None
    assert json.loads(json.dumps(found)) == found


def test_nothing_to_score_is_an_error(model, tmp_path) -> None:
    with pytest.raises(UsageError, match="found none in 0 files"):
        evaluate_calm(model, tmp_path, speaker=None, emotion_prior="natural")
