"""Speaker adaptation of emotion features: offsets of corpus and speakers, by empirical Bayes.

In the model's standardised space an utterance is modelled as: corpus + speaker + class mean + residual, each normal,
their variances known from training. A speaker's offset is the mean of their utterances less the class means that the
model's posteriors expect of them, shrunk towards 0 (the corpus) by the amount of speech: n·between / (n·between +
within). A speaker whose utterances are all angry thus keeps the anger, which plain normalisation by speaker removes;
taking statistics from neutral-looking utterances alone (Busso et al., IEEE Trans. Affective Computing 4(4), 2013) is
the same with the posterior of one class.

The evidence decides how far this goes. For a speaker with many utterances of evenly mixed emotions the plain mean is
the better estimate, since posteriors err; for a speaker with one emotion, the mean is mostly that emotion. In between,
the entropy of the posteriors decides.

The statistics are sums over utterances: shards can be added up, in any order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

NO_SPEAKER = ""
"""Name of nobody: utterances without a speaker count for the corpus, and have its offset alone."""
ROUNDS = 2  # of posteriors from offsets, and offsets from posteriors
_FULL_WEIGHT_S = 2.0  # of speech; shorter utterances weigh less
_MIN_SHARPNESS = 0.25
_MIN_BETWEEN_SHARE = 0.3  # of the between-speaker variance, for unmixed emotions: posteriors err
_MIXED_ENTROPY = 0.7  # of the maximal entropy; above it a speaker's emotions count as mixed


@dataclass(frozen=True)
class Prior:
    """Prior of offsets from training, by feature of the standardised space; stored with the weights, by field name."""

    between: Tensor  # (n_features,) variance of speakers within a corpus
    within: Tensor  # (n_features,) variance of a speaker's utterances of one class
    corpora: Tensor  # (n_features,) variance of corpora
    class_means: Tensor  # (n_classes, n_features)


@dataclass(frozen=True)
class Sums:
    """Sums by speaker: weights of utterances, and weighted sums of features and of class posteriors."""

    speakers: tuple[str, ...]  # sorted
    weight: Tensor  # (n_speakers,) float64
    features: Tensor  # (n_speakers, n_features) float64
    posteriors: Tensor  # (n_speakers, n_classes) float64

    @classmethod
    def from_utterances(cls, speakers: Sequence[str], weight: Tensor, features: Tensor, posteriors: Tensor) -> Self:
        """Return the sums of m utterances: weight (m,), features (m, n_features), posteriors (m, n_classes)."""
        weight = weight.double()[:, None]
        names, (total, feature_sums, posterior_sums) = _sum_by_name(
            speakers, weight, features * weight, posteriors * weight
        )
        return cls(names, total[:, 0], feature_sums, posterior_sums)

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """Return the sums of all parts, each of some of the speakers."""
        names, (weight, features, posteriors) = _sum_by_name(
            [name for part in parts for name in part.speakers],
            torch.cat([part.weight for part in parts])[:, None],
            torch.cat([part.features for part in parts]),
            torch.cat([part.posteriors for part in parts]),
        )
        return cls(names, weight[:, 0], features, posteriors)


def utterance_weight(seconds: Tensor) -> Tensor:
    """Return the weight of an utterance for its speaker, 0 to 1: full from two seconds of speech on."""
    return (seconds / _FULL_WEIGHT_S).clamp(0, 1)


def sharpness(weight: Tensor) -> Tensor:
    """Return the factor on the logits of an utterance: the noise of what little is heard flattens its posteriors."""
    return weight.clamp(_MIN_SHARPNESS**2, 1).sqrt()


def corpus_offset(sums: Sums, prior: Prior) -> Tensor:
    """Return (n_features,), the mean of all utterances, shrunk to training's by their number."""
    n = sums.weight.sum()
    mean = sums.features.sum(0) / n.clamp_min(1e-9)
    return mean * (n * prior.corpora / (n * prior.corpora + prior.within + prior.between))


def speaker_offsets(sums: Sums, prior: Prior) -> Tensor:
    """Return (n_speakers, n_features), the offsets to subtract: the corpus's and each speaker's own, if it is one's.

    The corpus's mix of emotions counts as usual; a speaker's deviation from it is not part of the voice.
    """
    n = sums.weight[:, None].clamp_min(1e-9)
    corpus, mixed = corpus_offset(sums, prior), mixedness(sums.posteriors)[:, None]
    unusual = sums.posteriors / n - sums.posteriors.sum(0) / sums.weight.sum().clamp_min(1e-9)
    own = sums.features / n - corpus - (1 - mixed) * (unusual @ prior.class_means.double())
    between = (_MIN_BETWEEN_SHARE + (1 - _MIN_BETWEEN_SHARE) * mixed) * prior.between
    is_speaker = torch.tensor([[name != NO_SPEAKER] for name in sums.speakers], dtype=own.dtype)
    return corpus + is_speaker * own * (n * between / (n * between + prior.within))


def mixedness(
    posteriors: Tensor,  # (n_speakers, n_classes), sums over their utterances
) -> Tensor:  # (n_speakers,) 0 to 1
    """Return the evidence that a speaker's emotions are evenly mixed: towards 1 for many utterances of even mix.

    0 up to seven tenths of the maximal entropy; halved for as many utterances as there are classes, since an ambiguous
    utterance is no proof of many emotions.

    >>> mixedness(torch.tensor([[1.0, 1.0], [3.0, 3.0], [90.0, 10.0], [0.0, 0.0]])).tolist()
    [0.5, 0.75, 0.0, 0.0]
    """
    n, n_classes = posteriors.sum(-1), posteriors.shape[-1]
    share = posteriors / n[..., None].clamp_min(1e-9)
    entropy = -torch.xlogy(share, share).sum(-1) / math.log(max(2, n_classes))
    return ((entropy - _MIXED_ENTROPY) / (1 - _MIXED_ENTROPY)).clamp(0, 1).square() * n / (n + n_classes)


def adapt(
    features: Tensor,  # (n, n_features), standardised
    speakers: Sequence[str],
    weight: Tensor,  # (n,)
    *,
    prior: Prior,
    class_posteriors: Callable[[Tensor], Tensor],  # (n, n_features) without offsets to (n, n_classes) probabilities
) -> Tensor:  # (n, n_features)
    """Return the features less the offsets of the corpus, which is all that is given, and of its speakers."""
    if not len(features):
        return features
    row = {name: index for index, name in enumerate(sorted(set(speakers)))}
    place = torch.tensor([row[name] for name in speakers])
    sums = Sums.from_utterances(speakers, weight, features, features.new_zeros(len(features), len(prior.class_means)))
    offset = corpus_offset(sums, prior).to(features.dtype).expand_as(features)
    for _ in range(ROUNDS):
        expected = Sums.from_utterances(speakers, weight, features[:, :0], class_posteriors(features - offset))
        offset = speaker_offsets(replace(sums, posteriors=expected.posteriors), prior).to(features.dtype)[place]
    return features - offset


def _sum_by_name(names: Sequence[str], *values: Tensor) -> tuple[tuple[str, ...], list[Tensor]]:
    """Return the names, sorted, each once, and the sums of their rows, in float64."""
    known = sorted(set(names))
    row = {name: index for index, name in enumerate(known)}
    place = torch.tensor([row[name] for name in names], dtype=torch.long)
    empty = (torch.zeros(len(known), value.shape[1], dtype=torch.float64) for value in values)
    return tuple(known), [
        total.index_add_(0, place, value.double()) for total, value in zip(empty, values, strict=True)
    ]
