"""What of an utterance is the speaker's, and not the mood's? Offsets of corpus and speakers, by empirical Bayes.

In the model's standardised space an utterance is taken as: corpus + speaker + class mean + the rest, each normal, their
variances known from training. A speaker's offset is the mean of their utterances less what the model believes of their
moods, shrunk towards 0 (the corpus) by how much speech there is: n·between / (n·between + within). Somebody of whom all
utterances are angry thus keeps the anger, which plain normalisation by speaker takes away; taking statistics from what
looks neutral (Busso et al., IEEE Trans. Affective Computing 4(4), 2013) is the same with a belief in one class alone.

The evidence decides how far: of who is heard often and in all moods alike the plain mean is the better estimate, since
beliefs err; of who is heard in one mood, the mean is mostly mood. In between it goes by the entropy of the beliefs.

All that is needed are sums over utterances: shards can be added up, in any order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

ROUNDS = 2  # of beliefs from offsets, and offsets from beliefs
_FULL_WEIGHT_S = 2.0  # of speech: shorter utterances weigh less
_MIN_BETWEEN_SHARE = 0.3  # of the between-speaker variance, where a speaker's moods are not mixed: beliefs err
_MIXED_ENTROPY = 0.7  # of the greatest entropy: from here on a speaker's moods begin to count as mixed


@dataclass(frozen=True)
class Prior:
    """What training says of offsets, by feature of the standardised space."""

    between: Tensor  # (n_features,) variance of speakers within a corpus
    within: Tensor  # (n_features,) variance of a speaker's utterances of one class
    corpora: Tensor  # (n_features,) variance of corpora
    class_means: Tensor  # (n_classes, n_features)


@dataclass(frozen=True)
class Sums:
    """By speaker: the weight of their utterances, and the weighted sums of features and of beliefs in each class."""

    speakers: tuple[str, ...]  # sorted
    weight: Tensor  # (n_speakers,) float64
    features: Tensor  # (n_speakers, n_features) float64
    posteriors: Tensor  # (n_speakers, n_classes) float64

    @classmethod
    def from_utterances(cls, speakers: Sequence[str], weight: Tensor, features: Tensor, posteriors: Tensor) -> Self:
        """Of m utterances: (m,), (m, n_features), (m, n_classes)."""
        weight = weight.double()[:, None]
        names, (total, seen, believed) = _sum_by_name(speakers, weight, features * weight, posteriors * weight)
        return cls(names, total[:, 0], seen, believed)

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """The sums of all parts, each of some of the speakers."""
        names, (weight, features, posteriors) = _sum_by_name(
            [name for part in parts for name in part.speakers],
            torch.cat([part.weight for part in parts])[:, None],
            torch.cat([part.features for part in parts]),
            torch.cat([part.posteriors for part in parts]),
        )
        return cls(names, weight[:, 0], features, posteriors)


def utterance_weight(seconds: Tensor) -> Tensor:
    """How much an utterance says of its speaker, 0 to 1: in full from two seconds of speech on."""
    return (seconds / _FULL_WEIGHT_S).clamp(0, 1)


def corpus_offset(sums: Sums, prior: Prior) -> Tensor:
    """(n_features,) the mean of all utterances, shrunk to training's by how many there are."""
    n = sums.weight.sum()
    mean = sums.features.sum(0) / n.clamp_min(1e-9)
    return mean * (n * prior.corpora / (n * prior.corpora + prior.within + prior.between))


def speaker_offsets(sums: Sums, prior: Prior) -> Tensor:
    """(n_speakers, n_features) what to take from each speaker's utterances: the corpus's offset and their own.

    How much of each mood a corpus shows is taken for usual; a speaker's own share of moods is not their voice.
    """
    n = sums.weight[:, None].clamp_min(1e-9)
    corpus, mixed = corpus_offset(sums, prior), mixedness(sums.posteriors)[:, None]
    unusual = sums.posteriors / n - sums.posteriors.sum(0) / sums.weight.sum().clamp_min(1e-9)
    own = sums.features / n - corpus - (1 - mixed) * (unusual @ prior.class_means.double())
    between = (_MIN_BETWEEN_SHARE + (1 - _MIN_BETWEEN_SHARE) * mixed) * prior.between
    return corpus + own * (n * between / (n * between + prior.within))


def mixedness(
    posteriors: Tensor,  # (n_speakers, n_classes), sums over their utterances
) -> Tensor:  # (n_speakers,) 0 to 1
    """How sure it is that a speaker is heard in all moods alike: towards 1 for many utterances of even moods.

    0 up to seven tenths of the greatest entropy; halved for as many utterances as there are classes, since one that
    could be anything is no proof of many moods.

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
    """The features without the offsets of the corpus, which is all that is given, and of its speakers."""
    if not len(features):
        return features
    row = {name: index for index, name in enumerate(sorted(set(speakers)))}
    place = torch.tensor([row[name] for name in speakers])
    sums = Sums.from_utterances(speakers, weight, features, features.new_zeros(len(features), len(prior.class_means)))
    offset = corpus_offset(sums, prior).to(features.dtype).expand_as(features)
    for _ in range(ROUNDS):
        believed = Sums.from_utterances(speakers, weight, features[:, :0], class_posteriors(features - offset))
        offset = speaker_offsets(replace(sums, posteriors=believed.posteriors), prior).to(features.dtype)[place]
    return features - offset


def _sum_by_name(names: Sequence[str], *values: Tensor) -> tuple[tuple[str, ...], list[Tensor]]:
    """The names, sorted, each once, and the sums of each one's rows, in float64."""
    known = sorted(set(names))
    row = {name: index for index, name in enumerate(known)}
    place = torch.tensor([row[name] for name in names], dtype=torch.long)
    empty = (torch.zeros(len(known), value.shape[1], dtype=torch.float64) for value in values)
    return tuple(known), [
        total.index_add_(0, place, value.double()) for total, value in zip(empty, values, strict=True)
    ]
