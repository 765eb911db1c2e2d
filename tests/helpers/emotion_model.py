"""A small emotion model of three features, and its folder, for tests of the registry."""

from pathlib import Path
from typing import Any

import torch

from features.extraction.config import FeatureConfig
from models.emotion.model import EmotionModel, Member
from models.emotion.speaker_adaptation import Prior

FEATURES, CLASSES = ("f0_mean", "loudness", "jitter"), ("calm", "angry")
COMPUTED = FeatureConfig().fingerprints()["egemaps"]


def save_emotion_model(
    folder: Path, seed: int, egemaps: str = COMPUTED, training: dict[str, Any] | None = None
) -> Path:
    """Save a model with random weights and a card; return its folder."""
    torch.manual_seed(seed)
    ones = torch.ones(len(FEATURES))
    EmotionModel(
        [Member(len(FEATURES), len(CLASSES), hidden=2)],
        linear=Member(len(FEATURES), len(CLASSES), hidden=0),
        mean=0 * ones,
        scale=ones,
        prior=Prior(ones, ones, ones, torch.zeros(len(CLASSES), len(FEATURES))),
        feature_names=FEATURES,
        features={"egemaps": egemaps},
        classes=CLASSES,
        training=training,
    ).save(folder)
    (folder / "README.md").write_text("A card.\n")
    return folder
