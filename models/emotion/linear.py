"""Emotion model from a linear classifier of your own, such as scikit-learn's.

It is fitted on `models.emotion.dataset.FEATURE_NAMES`, each as sign(x) log(1 + |x|), in deviations from the mean,
clipped at four, as in notebooks/train_your_own.py. It scores each utterance by itself: its prior has no speakers.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from data_contracts.errors import ModelError
from features.extraction.config import FeatureConfig
from models.emotion.dataset import FEATURE_NAMES
from models.emotion.model import EmotionModel, Member
from models.emotion.speaker_adaptation import Prior


def linear_model(
    weights: np.ndarray,  # (n_classes, n_features); one row for two classes, for the second
    bias: np.ndarray,  # (n_classes,)
    *,
    mean: np.ndarray,  # (n_features,), of sign(x) log(1 + |x|)
    scale: np.ndarray,  # (n_features,)
    classes: Sequence[str],
    recordings: Iterable[str],  # recording_id of all that it was trained on
) -> EmotionModel:
    """Return the classifier as a model. Raises ModelError where the sizes are not those of the features and classes."""
    if weights.shape[0] == 1 and len(classes) == 2:
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    if weights.shape != (len(classes), len(FEATURE_NAMES)):
        raise ModelError(
            f"expected weights of {len(classes)} classes and {len(FEATURE_NAMES)} features; found {weights.shape}: "
            "train on egemaps and suprasegmental, in that order"
        )
    member = Member(len(FEATURE_NAMES), len(classes), hidden=0)
    with torch.no_grad():
        member.outer.weight.copy_(torch.from_numpy(weights))
        member.outer.bias.copy_(torch.from_numpy(bias))
    n = len(FEATURE_NAMES)
    return EmotionModel(
        [member],
        linear=member,
        mean=torch.from_numpy(mean).float(),
        scale=torch.from_numpy(scale).float(),
        prior=Prior(torch.zeros(n), torch.ones(n), torch.zeros(n), torch.zeros(len(classes), n)),
        feature_names=FEATURE_NAMES,
        features=FeatureConfig().fingerprints(),
        classes=classes,
        recordings=(name[:12] for name in recordings),
    )
