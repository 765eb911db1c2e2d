"""Is a day like the days before? Distances of two samples, and how far chance alone may take them.

Utterances of one recording are no independent witnesses: chance is reckoned as if each recording said one thing.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import chdtri, ndtri

Method = Literal["psi", "share", "cosine"]


@dataclass(frozen=True)
class DriftConfig:
    """What a day is compared with, how much of both it takes, and how far is too far."""

    days: int = 28  # before it
    least_days: int = 7  # of them that hold anything
    least_recordings: int = 20
    least_utterances: int = 100
    psi: float = 0.25  # customary for "another population"
    share: float = 0.1  # of abstentions, of rejects: a tenth more or less
    cosine: float = 0.1
    false_alarms: float = 0.01  # days on which chance alone takes any measure over its threshold, at most


@dataclass(frozen=True)
class Sample:
    """What one day, or the days before it, hold of a measure.

    `values` are counts by class or bucket for `psi`, (those, all) for `share`, the sum of unit vectors for `cosine`.
    """

    values: np.ndarray
    n_days: int
    n_recordings: int
    n_utterances: int

    def binned(self, starts: np.ndarray) -> "Sample":
        """The same with counts of bins, which begin at `starts`."""
        return replace(self, values=np.add.reduceat(self.values, starts))


@dataclass(frozen=True)
class Distance:
    """How far a day is from the days before, from 0, and what is too far."""

    value: float
    threshold: float

    @property
    def over(self) -> bool:
        return self.value > self.threshold


def compare(method: Method, day: Sample, before: Sample, config: DriftConfig, *, n_measures: int) -> Distance:
    """The distance by `method`. Its threshold is the configured one, or what chance may do, whichever is larger.

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


def is_enough(day: Sample, before: Sample, config: DriftConfig, *, of_recordings: bool = False) -> bool:
    """Whether a comparison could say anything; of what counts recordings, no utterances are asked for."""
    least = 0 if of_recordings else config.least_utterances
    both = (day, before)
    return (
        before.n_days >= config.least_days
        and min(sample.n_recordings for sample in both) >= config.least_recordings
        and min(sample.n_utterances for sample in both) >= least
    )


def psi(counts: np.ndarray, reference: np.ndarray) -> float:
    """The population stability index of two tallies (Siddiqi, Credit Risk Scorecards, 2006): Σ (p - r) ln(p / r).

    So that an empty class is no infinite one, each tally gets one observation more, as both together are distributed.

    >>> psi(np.array([10, 30]), np.array([100, 300]))
    0.0
    >>> round(psi(np.array([50e6, 50e6]), np.array([25e6, 75e6])), 4)
    0.2747
    """
    both = counts / counts.sum() + reference / reference.sum()
    held = both > 0
    middle = both[held] / 2
    p, r = ((tally[held] + middle) / (tally.sum() + 1) for tally in (counts, reference))
    return float(np.sum((p - r) * np.log(p / r)))


def deciles(
    reference: np.ndarray,  # (n,) counts in rising order of what they count
) -> np.ndarray:
    """The places at which bins begin that hold about a tenth of the reference each; the first is 0.

    A value that is more than a tenth of all has a bin of its own.
    """
    reached = np.cumsum(reference)
    ends = np.searchsorted(reached, reached[-1] * np.arange(1, 10) / 10)
    often, n_times = np.unique(ends, return_counts=True)
    starts = np.concatenate([[0], often + 1, often[n_times > 1]])
    return np.unique(starts[starts < len(reference)])


def _psi(counts: np.ndarray, reference: np.ndarray, spread: float, rarity: float) -> tuple[float, float]:
    """Of samples of one population it is about `spread` times χ² of a degree less than classes (Yurdakul, 2018)."""
    n_classes = np.count_nonzero(counts + reference)
    return psi(counts, reference), float(chdtri(n_classes - 1, rarity)) * spread if n_classes > 1 else 0.0


def _share(told: np.ndarray, reference: np.ndarray, spread: float, rarity: float) -> tuple[float, float]:
    """The difference of two shares; by chance normal, with the variance of both samples together."""
    both = told + reference
    pooled = both[0] / both[1]
    chance = float(-ndtri(rarity / 2)) * float(np.sqrt(pooled * (1 - pooled) * spread))
    return float(abs(told[0] / told[1] - reference[0] / reference[1])), chance


def _cosine(day: Sample, before: Sample, spread: float) -> tuple[float, float]:
    """1 - cos of the angle of two mean vectors.

    Means of unit vectors whose own mean has length R stray by (1 - R²) / n, squared; of their angle that is expected to
    make (1 - R²) / 2R² · spread (Mardia and Jupp, Directional Statistics, 2000, ch. 9). In tens of dimensions three
    times as much is rarer than any rarity here.
    """
    lengths = np.linalg.norm(day.values), np.linalg.norm(before.values)
    together = (float(lengths[1]) / before.n_utterances) ** 2
    value = 1 - float(day.values @ before.values / (lengths[0] * lengths[1]))
    return value, 3 * max(0.0, 1 - together) / (2 * together) * spread
