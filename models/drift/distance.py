"""Drift distances between a day and the days before it, and the thresholds that chance alone does not cross.

Utterances of one recording are not independent: chance is reckoned as if each recording were one observation.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import chdtri, ndtri

Method = Literal["psi", "share", "cosine"]


@dataclass(frozen=True)
class DriftConfig:
    """Reference period, minimum sizes and thresholds of drift detection."""

    days: int = 28  # before it
    least_days: int = 7  # of them, with data
    least_recordings: int = 20
    least_utterances: int = 100
    psi: float = 0.25  # customary for "another population"
    share: float = 0.1  # of abstentions, of rejects: a tenth more or less
    cosine: float = 0.1
    false_alarms: float = 0.01  # largest share of days on which chance takes any measure over its threshold


@dataclass(frozen=True)
class Sample:
    """A measure on one day, or on the days before it.

    `values` are counts by class or bucket for `psi`, (those, all) for `share`, the sum of unit vectors for `cosine`.
    """

    values: np.ndarray
    n_days: int
    n_recordings: int
    n_utterances: int

    def merge_bins(self, starts: np.ndarray) -> "Sample":
        """Return the sample with its counts summed into bins that begin at `starts`."""
        return replace(self, values=np.add.reduceat(self.values, starts))


@dataclass(frozen=True)
class Distance:
    """Distance of a day from the days before, from 0, and its threshold."""

    value: float
    threshold: float

    @property
    def is_over(self) -> bool:
        return self.value > self.threshold


def compare(method: Method, day: Sample, before: Sample, config: DriftConfig, *, n_measures: int) -> Distance:
    """Return the distance by `method`, with the configured threshold or that of chance, whichever is larger.

    `n_measures` are compared on a day, and share its `false_alarms` (Bonferroni).
    """
    rarity = config.false_alarms / n_measures
    spread = 1 / day.n_recordings + 1 / before.n_recordings
    if method == "psi":
        value, chance = _psi(day.values, before.values, spread, rarity)
    elif method == "share":
        value, chance = _share(day.values, before.values, spread, rarity)
    else:
        value, chance = _cosine(day, before, spread)
    return Distance(value, max(getattr(config, method), chance))


def is_enough(day: Sample, before: Sample, config: DriftConfig, *, counts_recordings: bool = False) -> bool:
    """Return whether both samples suffice; a measure that counts recordings needs no utterances."""
    least = 0 if counts_recordings else config.least_utterances
    both = (day, before)
    return (
        before.n_days >= config.least_days
        and min(sample.n_recordings for sample in both) >= config.least_recordings
        and min(sample.n_utterances for sample in both) >= least
    )


def psi(counts: np.ndarray, reference: np.ndarray) -> float:
    """Return the population stability index Σ (p - r) ln(p / r) (Siddiqi, Credit Risk Scorecards, 2006) of two tallies.

    Each tally gets one observation more, distributed as both together: an empty class then makes no infinite term.

    >>> psi(np.array([10, 30]), np.array([100, 300]))
    0.0
    >>> round(psi(np.array([50e6, 50e6]), np.array([25e6, 75e6])), 4)
    0.2747
    """
    both = counts / counts.sum() + reference / reference.sum()
    occupied = both > 0
    middle = both[occupied] / 2
    p, r = ((tally[occupied] + middle) / (tally.sum() + 1) for tally in (counts, reference))
    return float(np.sum((p - r) * np.log(p / r)))


def deciles(
    reference: np.ndarray,  # (n,) counts in rising order of what they count
) -> np.ndarray:
    """Return the indices at which bins begin that hold about a tenth of the reference each; the first is 0.

    A value that is more than a tenth of all gets a bin of its own.
    """
    cumulative = np.cumsum(reference)
    ends = np.searchsorted(cumulative, cumulative[-1] * np.arange(1, 10) / 10)
    values, n_times = np.unique(ends, return_counts=True)
    starts = np.concatenate([[0], values + 1, values[n_times > 1]])
    return np.unique(starts[starts < len(reference)])


def _psi(counts: np.ndarray, reference: np.ndarray, spread: float, rarity: float) -> tuple[float, float]:
    """PSI and its quantile: under one population about `spread` · χ², one degree less than classes (Yurdakul, 2018)."""
    n_classes = np.count_nonzero(counts + reference)
    return psi(counts, reference), float(chdtri(n_classes - 1, rarity)) * spread if n_classes > 1 else 0.0


def _share(counts: np.ndarray, reference: np.ndarray, spread: float, rarity: float) -> tuple[float, float]:
    """Difference of two shares and its quantile: normal, with the variance of both samples together."""
    both = counts + reference
    pooled = both[0] / both[1]
    chance = float(-ndtri(rarity / 2)) * float(np.sqrt(pooled * (1 - pooled) * spread))
    return float(abs(counts[0] / counts[1] - reference[0] / reference[1])), chance


def _cosine(day: Sample, before: Sample, spread: float) -> tuple[float, float]:
    """1 - cos of the angle between two mean vectors, and its bound by chance.

    Means of unit vectors whose own mean has length R stray by (1 - R²) / n, squared; of their angle that is expected to
    make (1 - R²) / 2R² · spread (Mardia and Jupp, Directional Statistics, 2000, ch. 9). In tens of dimensions three
    times as much is rarer than any rarity here.
    """
    lengths = np.linalg.norm(day.values), np.linalg.norm(before.values)
    resultant = (float(lengths[1]) / before.n_utterances) ** 2
    value = 1 - float(day.values @ before.values / (lengths[0] * lengths[1]))
    return value, 3 * max(0.0, 1 - resultant) / (2 * resultant) * spread
