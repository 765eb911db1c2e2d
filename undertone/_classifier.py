"""Registration of a linear emotion classifier, such as scikit-learn's, as a challenger to the lake's champion."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_contracts.records import ModelRef
from models.data import training_set
from models.emotion.linear import linear_model
from undertone._lake import Lake


def register_emotion_classifier(
    lake: Lake,
    *,
    weights: np.ndarray,  # (n_classes, n_features); one row for two classes, for the second
    bias: np.ndarray,  # (n_classes,)
    mean: np.ndarray,  # (n_features,), of sign(x) log(1 + |x|)
    scale: np.ndarray,  # (n_features,)
    classes: Sequence[str],
    recordings: Iterable[str],  # recording_id of each recording in the training set
    speakers: Iterable[str],  # label of each speaker in the training set
    metrics: Mapping[str, float] | None = None,
    description: str = "linear classifier",
) -> ModelRef:
    """Register a new version of the emotion model as `@challenger` in the lake's registry, and return its reference.

    The features are the columns of `egemaps` and then of `suprasegmental`, each x as sign(x) log(1 + |x|), less `mean`,
    over `scale`, clipped at 4: notebooks/train_your_own.py fits one. No run scores with it before `undertone models
    promote emotion challenger --corpus DIR`, which refuses a corpus that shares `recordings` or `speakers` with it.
    Raises ModelError where the sizes are not those of the features and classes.
    """
    model = linear_model(
        np.asarray(weights),
        np.asarray(bias),
        mean=np.asarray(mean),
        scale=np.asarray(scale),
        classes=list(map(str, classes)),
        recordings=recordings,
    )
    registry = lake._settings.open_registry(lake._lake)
    registry.champion(
        "emotion"
    )  # registers the shipped model if there is no champion: a challenger needs one to be compared with
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        training_set.write_speakers(Path(folder), speakers)
        return registry.register(
            "emotion", Path(folder), alias="challenger", description=description, metrics=dict(metrics or {})
        )
