"""Variance components of labelled features: corpus, speaker, class mean and residual, by alternating least squares."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.emotion.speaker_adaptation import Prior

_ROUNDS = 4
_MIN_VARIANCE = 1e-3  # of a constant feature
_MIN_CORPUS_RATIO = 4.0  # of the corpora's variance to the speakers': one or two corpora underestimate it


@dataclass(frozen=True)
class VarianceComponents:
    """Offsets of n clips' corpora and speakers, and the mean of each class without them."""

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
    """Decompose features with known labels, so that a speaker of one emotion is not mistaken for that emotion.

    A mixed model (Henderson, Biometrics 31, 1975) with diagonal covariances, in a few rounds, its estimates shrunk.
    """
    values = features.double()
    by_class, by_speaker, by_corpus = (_Groups.from_names(names) for names in (labels, speakers, corpora))
    means = torch.zeros(n_classes, values.shape[1], dtype=torch.float64)
    corpus = speaker = torch.zeros_like(values)
    between, within = torch.ones(values.shape[1]), torch.ones(values.shape[1])
    for _ in range(_ROUNDS):
        emotion = means[torch.from_numpy(labels)]
        corpus_means = by_corpus.means(values - emotion - speaker)
        corpus = corpus_means[by_corpus.place]
        n = by_speaker.sizes[:, None]
        offsets = by_speaker.means(values - emotion - corpus) * (n * between / (n * between + within))
        speaker = offsets[by_speaker.place]
        class_means = by_class.means(values - corpus - speaker)
        means[torch.from_numpy(by_class.names.astype(int))] = class_means - class_means.mean(0)
        residual = values - corpus - speaker - means[torch.from_numpy(labels)]
        within = residual.var(0).clamp_min(_MIN_VARIANCE)
        between = offsets.var(0, correction=0).clamp_min(_MIN_VARIANCE)
    between_corpora = corpus_means.var(0, correction=0) if len(corpus_means) > 1 else torch.zeros_like(between)
    prior = Prior(
        between.float(),
        within.float(),
        torch.maximum(between_corpora, _MIN_CORPUS_RATIO * between).float(),
        means.float(),
    )
    return VarianceComponents(corpus.float(), speaker.float(), means.float(), prior)


@dataclass(frozen=True)
class _Groups:
    names: np.ndarray
    place: Tensor  # (n,) the group of each row
    sizes: Tensor  # (n_groups,)

    @classmethod
    def from_names(cls, names: np.ndarray) -> "_Groups":
        known, place = np.unique(names, return_inverse=True)
        return cls(known, torch.from_numpy(place), torch.from_numpy(np.bincount(place)).double())

    def means(self, rows: Tensor) -> Tensor:
        """Return the means (n_groups, n_features) of the groups' rows."""
        return (
            torch.zeros(len(self.names), rows.shape[1], dtype=rows.dtype).index_add_(0, self.place, rows)
            / (self.sizes[:, None])
        )
