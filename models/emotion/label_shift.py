"""Emotion posteriors where the shares of the emotions are unknown: a date's and each of its speakers'.

Adaptation takes away what a date's utterances have in common, as if all moods were among them. In the space of the
logits an utterance is modelled as: date + speaker + class mean + residual, each normal
(`models.emotion.logit_statistics`). A speaker's moods are either as expected (a Dirichlet about the expected shares) or
of any mix (a flat one); how many speakers are as expected is the date's to say. What lies in the middle of a date is
then neutral with an offset, or all moods mixed, by the evidence: mixed moods scatter a speaker's utterances, an offset
does not.

Shares under label shift are estimated by expectation-maximisation (Saerens et al., Neural Computation 14(1), 2002),
here with offsets, by variational Bayes; every explanation of a speaker (all of one class, or mixed) is followed up, and
counts by its evidence. Results do not depend on the order of the utterances.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.emotion.logit_statistics import LogitStatistics, contrasts
from models.emotion.speaker_adaptation import NO_SPEAKER

_ROUNDS = 6  # of explanations from a date's centre, and the centre from them
_STEPS = 3  # of responsibilities from a speaker's offset, and the offset from them
_EXPECTED_STRENGTH = 0.3  # of the Dirichlet of expected moods, in utterances: moods last
_VOICE_SHARE = 0.5  # of the variance of speakers: in training each was heard in a room of their own
_EXPECTED_SPEAKERS = (4.0, 1.0)  # Beta prior of a date's speakers as expected, and of any mix
_CENTRE_RATIO = 4.0  # of the variance of dates to that of speakers
_DOUBT = 6.0  # times the variance within speakers, for the posterior: other corpora scatter more than training
_MIN_WEIGHT = 0.05


@dataclass(frozen=True)
class _Explanation:
    """Moods and offsets of every speaker, from one start."""

    is_expected: bool
    concentration: Tensor  # (n_classes,) of the Dirichlet
    offsets: Tensor  # (n_speakers, d)
    counts: Tensor  # (n_speakers, n_classes) utterances
    weighted_counts: Tensor  # (n_speakers, n_classes)
    evidence: Tensor  # (n_speakers,) lower bound of the log evidence


def shifted_posteriors(
    logits: Tensor,  # (n, n_classes) of a date's utterances, adapted, before the temperature
    balanced: Tensor,  # (n, n_classes) their posteriors where all classes are as likely
    speakers: Sequence[str],  # `NO_SPEAKER`: not told, each is taken for a voice of its own
    weight: Tensor,  # (n,) 0 to 1, of the evidence
    *,
    statistics: LogitStatistics,
    shares: Sequence[float],  # (n_classes,) as expected
) -> Tensor:  # (n, n_classes) float64
    """Return the posteriors of a date's utterances: as expected, and `balanced` where a speaker's moods are mixed."""
    if not len(logits):
        return balanced.double()
    date = _Date(logits, speakers, weight, statistics, shares)
    centre, share = date.mean - date.shares @ date.means, 0.5
    explained: list[_Explanation] = []
    for _ in range(_ROUNDS):
        explained = list(date.explain(centre, share))
        belief = torch.stack([each.evidence for each in explained], 1).softmax(1)  # (n_speakers, n_explanations)
        is_expected = torch.tensor([each.is_expected for each in explained])
        expected = belief[:, is_expected].sum(1)
        used, centre = centre, date.centre(explained, belief)
        prior = _EXPECTED_SPEAKERS
        share = float((prior[0] + expected.sum()) / (sum(prior) + len(expected)))
    natural = date.posteriors(
        used, [(each, own) for each, own in zip(explained, belief.T, strict=True) if each.is_expected]
    )
    believed = expected[date.place, None]
    return believed * natural + (1 - believed) * balanced.double()


class _Date:
    """A date's utterances in contrasts of their logits."""

    def __init__(
        self,
        logits: Tensor,
        speakers: Sequence[str],
        weight: Tensor,
        statistics: LogitStatistics,
        shares: Sequence[float],
    ) -> None:
        names = {name: index for index, name in enumerate(sorted({*speakers} - {NO_SPEAKER}))}
        others = itertools.count(len(names))
        self.place = torch.tensor([names[name] if name in names else next(others) for name in speakers])
        self.n_speakers = next(others)
        self.n_classes = logits.shape[1]
        self.values = logits.double() @ contrasts(self.n_classes).T
        self.weight = weight.double().clamp(_MIN_WEIGHT, 1)[:, None]
        self.shares = torch.tensor(shares, dtype=torch.float64)
        self.means, self.within = statistics.means, statistics.within
        self.between = _VOICE_SHARE * statistics.between
        self.precision, self.speaker_precision = torch.linalg.inv(self.within), torch.linalg.inv(self.between)
        self.n = self.sums(self.weight)  # (n_speakers, 1)
        self.totals = self.sums(self.weight * self.values)
        self.mean = self.totals.sum(0) / self.n.sum()
        self.uncertainty = torch.linalg.inv(self.speaker_precision + self.n[..., None] * self.precision)
        self.mean_precision = torch.linalg.inv(self.between + self.within / self.n[..., None])

    def sums(self, rows: Tensor) -> Tensor:
        """Return the sums by speaker (n_speakers, …)."""
        return torch.zeros(self.n_speakers, rows.shape[1], dtype=torch.float64).index_add_(0, self.place, rows)

    def explain(self, centre: Tensor, share: float) -> Iterator[_Explanation]:
        """Yield explanations of the speakers: moods as expected and of any mix, from each class and from the logits."""
        flat = torch.ones(self.n_classes, dtype=torch.float64)
        for concentration, prior in ((_EXPECTED_STRENGTH * self.shares, share), (flat, 1 - share)):
            mixed = self._log_likelihoods(centre, torch.zeros_like(self.totals)) * self.weight
            starts = [*torch.eye(self.n_classes, dtype=torch.float64).expand(len(self.values), -1, -1).unbind(1)]
            for start in [*starts, (mixed + concentration.log()).softmax(1)]:
                yield self._explain_from(start, centre, concentration, prior, is_expected=concentration is not flat)

    def _explain_from(
        self, responsibilities: Tensor, centre: Tensor, concentration: Tensor, prior: float, *, is_expected: bool
    ) -> _Explanation:
        """Variational Bayes of offsets and moods, the moods' shares integrated out."""
        for _ in range(_STEPS):
            offsets = self._offsets(centre, self.sums(self.weight * responsibilities))
            shares = (concentration + self.sums(responsibilities)).log()
            responsibilities = (self.weight * self._log_likelihoods(centre, offsets) + shares[self.place]).softmax(1)
        counts, weighted = self.sums(responsibilities), self.sums(self.weight * responsibilities)
        offsets = self._offsets(centre, weighted)
        fit = self.weight * responsibilities * self._log_likelihoods(centre, offsets)
        fit -= torch.xlogy(responsibilities, responsibilities)
        total = concentration.sum()
        evidence = (
            self.sums(fit.sum(1, keepdim=True))[:, 0]
            - 0.5 * ((offsets @ self.speaker_precision) * offsets).sum(1)
            + (torch.lgamma(concentration + counts) - torch.lgamma(concentration)).sum(1)
            + torch.lgamma(total)
            - torch.lgamma(total + counts.sum(1))
            + torch.log(torch.tensor(prior, dtype=torch.float64))
        )  # less what is the same of every explanation
        return _Explanation(is_expected, concentration, offsets, counts, weighted, evidence)

    def _offsets(self, centre: Tensor, weighted_counts: Tensor) -> Tensor:
        left = (self.totals - self.n * centre - weighted_counts @ self.means) @ self.precision
        return torch.einsum("sij,sj->si", self.uncertainty, left)

    def _log_likelihoods(self, centre: Tensor, offsets: Tensor) -> Tensor:
        """Return (n, n_classes), less a constant."""
        left = (self.values - centre - offsets[self.place])[:, None] - self.means
        log_likelihoods: Tensor = -0.5 * ((left @ self.precision) * left).sum(-1)
        return log_likelihoods

    def centre(self, explained: Sequence[_Explanation], belief: Tensor) -> Tensor:
        """Return the date's own offset, (d,)."""
        counts = torch.stack([each.weighted_counts for each in explained], dim=1).mul(belief[:, :, None]).sum(1)
        left = (self.totals - counts @ self.means) / self.n
        precision = self.speaker_precision / _CENTRE_RATIO + self.mean_precision.sum(0)
        offset: Tensor = torch.linalg.solve(precision, torch.einsum("sij,sj->i", self.mean_precision, left))
        return offset

    def posteriors(self, centre: Tensor, explained: Sequence[tuple[_Explanation, Tensor]]) -> Tensor:
        """Return (n, n_classes), the mean over explanations by the belief in them; offsets are uncertain."""
        precision = torch.linalg.inv(_DOUBT * self.within + self.uncertainty)[self.place]
        total = torch.stack([belief for _, belief in explained]).sum(0).clamp_min(1e-300)
        mean = torch.zeros(len(self.values), self.n_classes, dtype=torch.float64)
        for each, belief in explained:
            left = (self.values - centre - each.offsets[self.place])[:, None] - self.means
            fit = -0.5 * (torch.einsum("nki,nij->nkj", left, precision) * left).sum(-1)
            shares = (each.concentration + each.counts).log()[self.place]
            mean += (belief / total)[self.place, None] * (self.weight * fit + shares).softmax(1)
        return mean
