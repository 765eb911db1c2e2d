"""Labelled features taken apart: corpus + speaker + class mean + the rest, by alternating least squares, shrunk."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.emotion.speaker_adaptation import Prior

_ROUNDS = 4
_MIN_VARIANCE = 1e-3  # variance, where a feature never moves
_MIN_CORPUS_RATIO = 4.0  # times the speakers' variance: corpora lie at least so far apart, when one or two are known


@dataclass(frozen=True)
class VarianceComponents:
    """Of n clips: what each one's corpus and speaker add, and the mean of each class when both are taken away."""

    corpora: Tensor  # (n, n_features)
    speakers: Tensor  # (n, n_features), beyond the corpus
    class_means: Tensor  # (n_classes, n_features)
    prior: Prior


def decompose_variance(
    features: Tensor,  # (n, n_features), standardised
    labels: np.ndarray,  # (n,) int
    speakers: np.ndarray,  # (n,) str
    corpora: np.ndarray,  # (n,) str
    *,
    n_classes: int,
) -> VarianceComponents:
    """With the labels known, so that a speaker of one mood is not taken for that mood.

    A mixed model (Henderson, Biometrics 31, 1975) with diagonal covariances, in a few rounds.
    """
    values = features.double()
    of_class, of_speaker, of_corpus = (_Groups.of(names) for names in (labels, speakers, corpora))
    means = torch.zeros(n_classes, values.shape[1], dtype=torch.float64)
    corpus = speaker = torch.zeros_like(values)
    between, within = torch.ones(values.shape[1]), torch.ones(values.shape[1])
    for _ in range(_ROUNDS):
        mood = means[torch.from_numpy(labels)]
        corpus_means = of_corpus.means(values - mood - speaker)
        corpus = corpus_means[of_corpus.place]
        n = of_speaker.sizes[:, None]
        own = of_speaker.means(values - mood - corpus) * (n * between / (n * between + within))
        speaker = own[of_speaker.place]
        found = of_class.means(values - corpus - speaker)
        means[torch.from_numpy(of_class.names.astype(int))] = found - found.mean(0)
        rest = values - corpus - speaker - means[torch.from_numpy(labels)]
        within = rest.var(0).clamp_min(_MIN_VARIANCE)
        between = own.var(0, correction=0).clamp_min(_MIN_VARIANCE)
    apart = corpus_means.var(0, correction=0) if len(corpus_means) > 1 else torch.zeros_like(between)
    prior = Prior(
        between.float(), within.float(), torch.maximum(apart, _MIN_CORPUS_RATIO * between).float(), means.float()
    )
    return VarianceComponents(corpus.float(), speaker.float(), means.float(), prior)


@dataclass(frozen=True)
class _Groups:
    names: np.ndarray
    place: Tensor  # (n,) the group of each row
    sizes: Tensor  # (n_groups,)

    @classmethod
    def of(cls, names: np.ndarray) -> "_Groups":
        known, place = np.unique(names, return_inverse=True)
        return cls(known, torch.from_numpy(place), torch.from_numpy(np.bincount(place)).double())

    def means(self, rows: Tensor) -> Tensor:
        """(n_groups, n_features)."""
        return (
            torch.zeros(len(self.names), rows.shape[1], dtype=rows.dtype).index_add_(0, self.place, rows)
            / (self.sizes[:, None])
        )
