"""Pretrained emotion model in two parts: an extractor from audio to a vector, and a small head over the vector.

The vectors are a stored feature set, so that the extractor runs once; scoring again runs the head alone. A folder
holds `extractor.safetensors`, `head.safetensors` and `config.json`; none of its files is code.
"""

import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest, fingerprint
from models.pretrained.extractor import Extractor

FEATURE_SET = "emotion_embeddings"
DIMENSIONS = ("arousal", "valence", "dominance")
_build_lock = threading.Lock()  # transformers builds networks under global switches
_EXTRACTOR, _HEAD = "extractor.safetensors", "head.safetensors"


class PretrainedEmotion:
    """Scores classes (probabilities), dimensions (on the model's own scale), or both.

    The extractor is built on first use: scoring stored vectors never waits for it.
    """

    def __init__(self, folder: Path) -> None:
        """Read a folder of `write_pretrained_emotion`. Raises ModelError where it is missing or does not fit."""
        self.folder = Path(folder)
        try:
            self.config: dict[str, Any] = json.loads((self.folder / "config.json").read_text())
            self.head = load_file(self.folder / _HEAD)
            self.classes = tuple(self.config["classes"])
            self.dimensions = tuple(self.config["dimensions"])
            self.dim = int(self.config["feature_dim"])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"expected a pulled emotion model (config.json, {_EXTRACTOR}, {_HEAD}) in {self.folder}: {error}; "
                "bring it in with `undertone models pull`"
            ) from error

    @cached_property
    def extractor(self) -> Extractor:
        """The network in front of the head. Raises ModelError where its weights cannot be read."""
        try:
            with _build_lock:
                return Extractor(self.config["extractor"], load_file(self.folder / _EXTRACTOR))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"expected {_EXTRACTOR} in {self.folder}: {error}") from error

    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim) float32
        """Return the head's input. Utterances are embedded singly, so that padding and neighbours change nothing."""
        return self.extractor.embed(waveform, lengths)

    @torch.inference_mode()
    def scores(
        self,
        vectors: Tensor,  # (n, dim)
    ) -> Tensor:  # (n, classes and then dimensions) float64
        """Return the scores. Raises ModelError where the vectors are those of another extractor."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ModelError(f"expected vectors (n, {self.dim}) of its extractor, found {tuple(vectors.shape)}")
        values = vectors.double()
        for index, step in enumerate(self.config["head"]):
            if step == "tanh":
                values = values.tanh()
            else:
                bias = self.head.get(f"{index}.bias")
                values = values @ self.head[f"{index}.weight"].double().T + (0 if bias is None else bias.double())
        order = self.config["outputs"]
        scores = values[:, [order.index(name) for name in self.classes]]
        if self.config["activation"] == "softmax":
            scores = scores.softmax(-1)
        elif self.classes:
            scores = scores.sigmoid() / scores.sigmoid().sum(-1, keepdim=True)
        return torch.cat([scores, values[:, [order.index(name) for name in self.dimensions]]], dim=1)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of `scores`."""
        return [*self.classes, *self.dimensions]


def write_pretrained_emotion(
    folder: Path,
    *,
    kind: str,
    extractor: dict[str, Any],  # the specification of `Extractor`
    weights: dict[str, Tensor],
    head: Sequence[tuple[Tensor, Tensor | None] | str],  # linear layers (weight, bias), and "tanh" between them
    labels: Sequence[tuple[str, str]],  # the model's word for each output, and ours
    training: dict[str, Any],
    multilabel: bool = False,
) -> None:
    """Write a folder that `PretrainedEmotion` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = {}
    for index, step in enumerate(head):
        if not isinstance(step, str):
            layers[f"{index}.weight"] = step[0].float().contiguous()
            if step[1] is not None:
                layers[f"{index}.bias"] = step[1].float().contiguous()
    save_file(layers, folder / _HEAD)
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, folder / _EXTRACTOR)
    outputs = [ours for _, ours in labels]
    config = {
        "kind": kind,
        "classes": [name for name in outputs if name not in DIMENSIONS],
        "dimensions": [name for name in outputs if name in DIMENSIONS],
        "outputs": outputs,
        "labels": dict(labels),
        "feature_set": FEATURE_SET,
        "feature_dim": int(layers["0.weight"].shape[1]),
        "extractor_digest": digest(fingerprint(extractor).encode() + (folder / _EXTRACTOR).read_bytes(), 12),
        "extractor": extractor,
        "head": [step if isinstance(step, str) else "linear" for step in head],
        "activation": "sigmoid" if multilabel else "softmax",
        "training": training,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


class _Pyfunc:
    """The model for MLflow's loader_module protocol: from waveforms to scores."""

    def __init__(self, model: PretrainedEmotion) -> None:
        self.model = model

    def get_raw_model(self) -> PretrainedEmotion:
        """Return the model behind the pyfunc: the pipeline runs extractor and head apart."""
        return self.model

    def predict(
        self,
        model_input: dict[str, np.ndarray],  # waveform (n, time) float32 at 16 kHz, lengths (n,)
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> np.ndarray:  # (n, classes and then dimensions) float64
        """Return the scores of utterances."""
        waveform = torch.from_numpy(np.array(model_input["waveform"], np.float32))
        lengths = torch.from_numpy(np.array(model_input["lengths"], np.int64))
        scores: np.ndarray = self.model.scores(self.model.embed(waveform, lengths).cpu()).numpy()
        return scores


def _load_pyfunc(data_path: str) -> _Pyfunc:
    return _Pyfunc(PretrainedEmotion(Path(data_path)))
