"""Emotion model: functionals of an utterance in, class posteriors out, adapted to speakers where they are known.

Compress and standardise -> small networks -> the mean of their logits -> a temperature (Guo et al., ICML 2017) that
calibrates the probabilities -> softmax. Where corpus and speaker are known, their offsets are subtracted first
(`models.emotion.speaker_adaptation`), and a linear model trained on such features joins the networks: it is the more
accurate of the two there, and of no use elsewhere.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from data_contracts.errors import ModelError
from models.data import training_set
from models.emotion import speaker_adaptation
from models.emotion.label_shift import shifted_posteriors
from models.emotion.logit_statistics import LogitStatistics
from models.emotion.speaker_adaptation import Prior

CLASSES = ("anger", "happiness", "neutral", "sadness")
_MAX_DEVIATIONS = 10.0  # of a raw feature, so that no outlier dominates a speaker's mean
_MAX_INPUT = 4.0  # deviations; beyond, a feature says no more
_LINEAR_SHARE = 0.6  # of the logits, where offsets are known, of models that do not say


class Member(nn.Module):
    """One of the networks: a single hidden layer, or none where `hidden` is 0."""

    def __init__(self, n_features: int, n_classes: int, *, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(n_features, hidden) if hidden else None
        self.outer = nn.Linear(hidden or n_features, n_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of (n, n_features)."""
        inner = features if self.inner is None else self.dropout(torch.relu(self.inner(features)))
        logits: Tensor = self.outer(inner)
        return logits


class EmotionModel:
    """Score utterances; `feature_names` and `classes` are the columns in and out.

    `features` names the feature sets that it reads, in the order of their columns, each with the fingerprint of its
    training; others do not fit it. `trained_on` holds the first 12 hex digits of each training recording's SHA-256.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        linear: Member,  # for features without offsets
        linear_share: float = _LINEAR_SHARE,  # of the logits, where offsets are known
        mean: Tensor,  # (n_features,), of the compressed features
        scale: Tensor,  # (n_features,), their deviation within a speaker
        prior: Prior,
        feature_names: Sequence[str],
        features: Mapping[str, str],
        classes: Sequence[str] = CLASSES,
        temperature: float = 1.0,
        adapted_temperature: float = 1.0,
        statistics: LogitStatistics | None = None,  # None: shares of the classes cannot be estimated
        training: dict[str, Any] | None = None,
        recordings: Iterable[str] = (),
    ) -> None:
        self.members, self.linear = nn.ModuleList(members).eval(), linear.eval()
        self.linear_share = linear_share
        self.mean, self.scale, self.prior = mean, scale, prior
        self.temperature, self.adapted_temperature = temperature, adapted_temperature
        self.feature_names, self.classes = tuple(feature_names), tuple(classes)
        self.features = dict(features)
        self.statistics = statistics
        self.training = training or {}
        self.trained_on = frozenset(recordings)

    def standardise(
        self,
        features: Tensor,  # (n, n_features)
    ) -> Tensor:  # (n, n_features), float32
        """Return the features compressed, in deviations from training's mean; 0 where a feature is not finite.

        Raises ModelError where the number of features differs.
        """
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise ModelError(
                f"expected features (n, {len(self.feature_names)}), found {tuple(features.shape)}: "
                "compute them as the model's training did"
            )
        return standardise(features.float(), self.mean, self.scale)

    @torch.inference_mode()
    def logits(
        self,
        standardised: Tensor,  # (n, n_features)
        *,
        adapted: bool,  # whether offsets were subtracted
    ) -> Tensor:  # (n, n_classes), before the temperature
        """Return the mean logits of the networks, joined by the linear model where `adapted`."""
        clipped = clip_features(standardised)
        logits = torch.stack([member(clipped) for member in self.members]).mean(0)
        share = self.linear_share
        return (1 - share) * logits + share * self.linear(clipped) if adapted else logits

    def probabilities(self, standardised: Tensor, *, adapted: bool) -> Tensor:
        """Return the probabilities (n, n_classes) float64 of (n, n_features), each row sums to one."""
        temperature = self.adapted_temperature if adapted else self.temperature
        return (self.logits(standardised, adapted=adapted).double() / temperature).softmax(-1)

    def class_posteriors(self, standardised: Tensor) -> Tensor:
        """Return the probabilities of features from which offsets were subtracted."""
        return self.probabilities(standardised, adapted=True)

    def date_posteriors(
        self,
        logits: Tensor,  # (n, n_classes) of all utterances of a date, adapted
        speakers: Sequence[str],
        weight: Tensor,  # (n,) `speaker_adaptation.utterance_weight`
        *,
        shares: Sequence[float] | None = None,  # (n_classes,) expected of the classes; None: they count alike
    ) -> Tensor:  # (n, n_classes) float64
        """Return the probabilities: the less is heard, the flatter; with `shares`, where the date's are unknown."""
        sharpness = speaker_adaptation.sharpness(weight).double()[:, None]
        balanced = (logits.double() * sharpness / self.adapted_temperature).softmax(-1)
        if shares is None or self.statistics is None:
            return balanced
        return shifted_posteriors(logits, balanced, speakers, weight, statistics=self.statistics, shares=shares)

    def scores(
        self,
        features: Tensor,  # (n, n_features)
        speakers: Sequence[str] | None = None,  # any name for each
        seconds: Tensor | None = None,  # (n,) of speech; None: enough for full weight
        *,
        shares: Sequence[float] | None = None,  # (n_classes,) expected of the classes; None: they count alike
    ) -> Tensor:  # (n, n_classes), each row sums to one
        """Return the probabilities.

        With `speakers` the features count as a whole date, and are adapted to it and to its speakers; without, each
        utterance is scored by itself, at equal prior odds of the classes.
        """
        if speakers is None:
            return self.probabilities(self.standardise(features), adapted=False)
        weight = torch.ones(len(features)) if seconds is None else speaker_adaptation.utterance_weight(seconds)
        logits = self.logits(self.adapt(features, speakers, seconds), adapted=True)
        return self.date_posteriors(logits, speakers, weight, shares=shares)

    def adapt(self, features: Tensor, speakers: Sequence[str], seconds: Tensor | None = None) -> Tensor:
        """Return (n, n_features) standardised, less the offsets of their corpus and its speakers."""
        weight = torch.ones(len(features)) if seconds is None else speaker_adaptation.utterance_weight(seconds)
        return speaker_adaptation.adapt(
            self.standardise(features), speakers, weight, prior=self.prior, class_posteriors=self.class_posteriors
        )

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` (as float16), `config.json` and `trained_on.txt`."""
        folder.mkdir(parents=True, exist_ok=True)
        prior = {f"prior.{field.name}": getattr(self.prior, field.name) for field in fields(Prior)}
        networks = nn.ModuleDict({"members": self.members, "linear": self.linear}).state_dict()
        state = {"mean": self.mean, "scale": self.scale, **prior, **networks}
        narrowed = {k: (v.half() if v.ndim > 1 else v.float()).clone().contiguous() for k, v in state.items()}
        (folder / "weights.safetensors").write_bytes(serialise(narrowed))
        config = {
            "classes": self.classes,
            "features": self.features,
            "linear_share": self.linear_share,
            "temperature": self.temperature,
            "adapted_temperature": self.adapted_temperature,
            **({"logit_statistics": self.statistics.as_json()} if self.statistics else {}),
            "training": self.training,
            "feature_names": self.feature_names,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        training_set.write(folder, self.trained_on)

    @classmethod
    def load(cls, folder: Path) -> "EmotionModel":
        """Read a folder that `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            state = {k: v.float() for k, v in parse((folder / "weights.safetensors").read_bytes()).items()}
            mean, scale = state.pop("mean"), state.pop("scale")
            prior = Prior(**{field.name: state.pop(f"prior.{field.name}") for field in fields(Prior)})
            members = _build_members(state)
            linear = Member(len(mean), len(stored["classes"]), hidden=0)
            nn.ModuleDict({"members": nn.ModuleList(members), "linear": linear}).load_state_dict(state)
            return cls(
                members,
                linear=linear,
                mean=mean,
                scale=scale,
                prior=prior,
                feature_names=stored["feature_names"],
                features=stored["features"],
                classes=stored["classes"],
                linear_share=stored.get("linear_share", _LINEAR_SHARE),
                temperature=stored["temperature"],
                adapted_temperature=stored["adapted_temperature"],
                statistics=LogitStatistics.from_json(stored["logit_statistics"])
                if "logit_statistics" in stored
                else None,
                training=stored.get("training"),
                recordings=training_set.read(folder),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"expected an emotion model (config.json, weights.safetensors) in {folder}: {error}; "
                "train one with `undertone models train emotion`"
            ) from error


def clip_features(standardised: Tensor) -> Tensor:
    """Clip to the networks' input range, four deviations."""
    return standardised.clamp(-_MAX_INPUT, _MAX_INPUT)


def compress(features: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|): coefficients of variation run into the hundreds where a mean is near 0."""
    return features.sign() * features.abs().log1p()


def standardise(features: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Return (…, n_features) compressed, in deviations from the mean, ten at most; 0 where a feature is not finite."""
    return ((compress(features) - mean) / scale).nan_to_num(0.0, 0.0, 0.0).clamp(-_MAX_DEVIATIONS, _MAX_DEVIATIONS)


def _build_members(state: dict[str, Tensor]) -> list[Member]:
    members = []
    for index in range(len({name.split(".")[1] for name in state if name.startswith("members.")})):
        n_classes, width = state[f"members.{index}.outer.weight"].shape
        inner = state.get(f"members.{index}.inner.weight")
        n_features = width if inner is None else inner.shape[1]
        members.append(Member(n_features, n_classes, hidden=0 if inner is None else width))
    return members
