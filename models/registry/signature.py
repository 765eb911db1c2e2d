"""MLflow signature of a model's folder: types of its inputs and outputs, and an example."""

from typing import Any

import numpy as np
import pandas as pd

from data_contracts.errors import ModelError
from models.registry.artifact import MODEL_NAMES
from models.registry.mlflow_api import ColSpec, DataType, ModelSignature, Schema, TensorSpec


def signature_of(name: str, config: dict[str, Any]) -> tuple[ModelSignature, Any]:
    """Return the signature that `config.json` implies, and an input example. Raises ModelError for an unknown name."""
    if "kind" in config or name == "speaker":
        waveform, lengths = np.zeros((1, 32_000), np.float32), np.array([32_000], np.int64)
        inputs = Schema([TensorSpec(waveform.dtype, (-1, -1), "waveform"), TensorSpec(lengths.dtype, (-1,), "lengths")])
        outputs = Schema([_vectors(config)])
        return ModelSignature(inputs, outputs), {"waveform": waveform, "lengths": lengths}
    if name == "emotion":
        features, classes = config["feature_names"], config["classes"]
        speaker = ColSpec(DataType.string, "speaker_id", required=False)
        inputs = Schema([*(ColSpec(DataType.float, feature) for feature in features), speaker])
        outputs = Schema([ColSpec(DataType.double, label) for label in classes])
        return ModelSignature(inputs, outputs), pd.DataFrame(np.zeros((1, len(features)), np.float32), columns=features)
    raise ModelError(f"expected one of {', '.join(MODEL_NAMES)}; found {name!r}")


def _vectors(config: dict[str, Any]) -> TensorSpec:
    """Return the output of a model that takes audio: embeddings, or the scores of classes and dimensions."""
    if "classes" in config:
        return TensorSpec(np.dtype(np.float64), (-1, len(config["classes"]) + len(config["dimensions"])))
    return TensorSpec(np.dtype(np.float32), (-1, int(config["dim"])))
