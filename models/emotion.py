"""With what emotion: the eGeMAPS functionals of an utterance in, a probability for each class out.

Compress and standardise -> a few small networks -> the mean of their logits -> a temperature
(Guo et al., ICML 2017) that makes the probabilities honest -> softmax.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from data_contracts.errors import ModelError
from models import trained_on

CLASSES = ("anger", "happiness", "neutral", "sadness")
_FARTHEST = 4.0  # standard deviations: beyond them a feature says no more


class Member(nn.Module):
    """One of the networks: a single hidden layer."""

    def __init__(self, n_features: int, n_classes: int, *, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(n_features, hidden)
        self.outer = nn.Linear(hidden, n_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, standardised: Tensor) -> Tensor:
        """(n, n_features) to (n, n_classes) logits."""
        logits: Tensor = self.outer(self.dropout(torch.relu(self.inner(standardised))))
        return logits


class EmotionModel:
    """Scores utterances; `feature_names` and `classes` are the columns in and out.

    `egemaps` is the fingerprint of the features that it was trained on; others do not fit it. `trained_on` holds
    the first 12 hex of the SHA-256 of every training recording, so that an evaluation can tell what it has seen.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        mean: Tensor,  # (n_features,), of the compressed features
        scale: Tensor,  # (n_features,), their standard deviation
        feature_names: Sequence[str],
        egemaps: str,
        classes: Sequence[str] = CLASSES,
        temperature: float = 1.0,
        training: dict[str, Any] | None = None,
        recordings: Iterable[str] = (),
    ) -> None:
        self.members = nn.ModuleList(members).eval()
        self.mean, self.scale, self.temperature = mean, scale, temperature
        self.feature_names, self.classes = tuple(feature_names), tuple(classes)
        self.egemaps = egemaps
        self.training = training or {}
        self.trained_on = frozenset(recordings)

    @torch.inference_mode()
    def logits(
        self,
        features: Tensor,  # (n, n_features)
    ) -> Tensor:  # (n, n_classes), before the temperature
        """The members' mean. Raises ModelError where the number of features is another."""
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise ModelError(
                f"expected features (n, {len(self.feature_names)}), found {tuple(features.shape)}: "
                "compute them as the model's training did"
            )
        standardised = standardise(features.float(), self.mean, self.scale)
        return torch.stack([member(standardised) for member in self.members]).mean(0)

    def scores(
        self,
        features: Tensor,  # (n, n_features)
    ) -> Tensor:  # (n, n_classes), each row sums to one
        """Probabilities, when every class is as likely before. A feature that is not finite counts as average."""
        return (self.logits(features).double() / self.temperature).softmax(-1)

    def save(self, folder: Path) -> None:
        """Writes `weights.safetensors`, `config.json` and `trained_on.txt`."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"mean": self.mean, "scale": self.scale, **self.members.state_dict()}
        (folder / "weights.safetensors").write_bytes(serialise({k: v.contiguous() for k, v in state.items()}))
        config = {
            "classes": self.classes,
            "egemaps": self.egemaps,
            "temperature": self.temperature,
            "training": self.training,
            "feature_names": self.feature_names,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        trained_on.write(folder, self.trained_on)

    @classmethod
    def load(cls, folder: Path) -> "EmotionModel":
        """Reads what `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            state = parse((folder / "weights.safetensors").read_bytes())
            mean, scale = state.pop("mean"), state.pop("scale")
            members = nn.ModuleList(_members_for(state))
            members.load_state_dict(state)
            return cls(
                list(members),  # type: ignore[arg-type]
                mean=mean,
                scale=scale,
                feature_names=stored["feature_names"],
                egemaps=stored["egemaps"],
                classes=stored["classes"],
                temperature=stored["temperature"],
                training=stored.get("training"),
                recordings=trained_on.read(folder),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"expected an emotion model (config.json, weights.safetensors) in {folder}: {error}; "
                "train one with `undertone models train emotion`"
            ) from error


def compressed(features: Tensor) -> Tensor:
    """sign(x) log(1 + |x|): coefficients of variation run into the hundreds where a mean is near 0."""
    return features.sign() * features.abs().log1p()


def standardise(features: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """(n, n_features), compressed, in deviations from the mean, four at most; 0 where a feature is not finite."""
    return ((compressed(features) - mean) / scale).nan_to_num(0.0, 0.0, 0.0).clamp(-_FARTHEST, _FARTHEST)


def _members_for(state: dict[str, Tensor]) -> list[Member]:
    hidden = [state[f"{index}.inner.weight"].shape for index in range(len(state) // 4)]
    return [Member(width, len(state["0.outer.bias"]), hidden=n) for n, width in hidden]


class _Pyfunc:
    """The model behind MLflow's loader_module protocol."""

    def __init__(self, model: EmotionModel) -> None:
        self.model = model

    def predict(
        self,
        model_input: pd.DataFrame,  # a float32 column a feature, others ignored
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> pd.DataFrame:  # a float64 column a class
        """Raises ModelError where a feature's column is missing."""
        missing = [name for name in self.model.feature_names if name not in model_input]
        if missing:
            raise ModelError(
                f"expected {len(self.model.feature_names)} features by name, found no {', '.join(missing[:3])} "
                f"({len(missing)} missing): extract the features that it was trained on"
            )
        features = model_input[list(self.model.feature_names)].to_numpy(np.float32)
        scores = self.model.scores(torch.from_numpy(np.array(features)))
        return pd.DataFrame(scores.numpy(), columns=list(self.model.classes), index=model_input.index)


def _load_pyfunc(data_path: str) -> _Pyfunc:
    return _Pyfunc(EmotionModel.load(Path(data_path)))
