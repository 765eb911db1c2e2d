"""Speaker verification metrics of labelled pairs: EER, min DCF, Cllr, threshold and calibration."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from models.metrics.bootstrap import interval_by_speaker

_P_TARGET = 0.01  # of min DCF, NIST SRE's: one trial in a hundred is of the same voice, both errors cost 1
_MIN_SPEAKERS = 5  # of an interval; resampling fewer says nothing
_N_SCORE_BINS = 500  # of the scores, for the intervals
_N_PROBABILITY_BINS = 10  # of the calibration error


@dataclass(frozen=True)
class Trials:
    """Pairs of utterances. `weights` sum to 1 over the same-voice pairs, and to 1 over the others."""

    scores: np.ndarray  # (n,) float64, higher is more alike
    same: np.ndarray  # (n,) bool
    weights: np.ndarray  # (n,) float64
    speakers: np.ndarray  # (n, 2), of the two utterances

    @classmethod
    def pool(cls, parts: "list[Trials]") -> "Trials":
        """Return all trials, each part counting alike, however many pairs it has."""
        joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "same", "weights"))
        scores, same, weights = joined
        return cls(scores, same, weights / len(parts), np.concatenate([part.speakers for part in parts]))

    def select(self, mask: np.ndarray) -> "Trials":
        """Return the pairs of the (n,) mask, weighted anew."""
        kept = replace(self, scores=self.scores[mask], same=self.same[mask], speakers=self.speakers[mask])
        weights = self.weights[mask]
        totals = np.where(kept.same, weights[kept.same].sum(), weights[~kept.same].sum())
        return replace(kept, weights=weights / totals)

    @cached_property
    def error_rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Thresholds, falling, with the false-accept and the false-reject rate of "same from here up"."""
        order = np.argsort(-self.scores, kind="stable")
        scores, same, weights = self.scores[order], self.same[order], self.weights[order]
        accepted = np.cumsum(np.where(same, 0.0, weights))
        rejected = 1.0 - np.cumsum(np.where(same, weights, 0.0))
        last = np.append(scores[1:] != scores[:-1], True)  # equal scores stand or fall together
        return scores[last], accepted[last], rejected[last].clip(0.0)

    def eer(self) -> float:
        """Return the equal error rate, at which as many others are accepted as same voices are rejected."""
        _, accepted, rejected = self.error_rates
        return _equal_error_rate(accepted, rejected)

    def min_dcf(self) -> float:
        """Return the least detection cost over all thresholds, relative to always saying no; from 0 to 1."""
        _, accepted, rejected = self.error_rates
        return _min_cost(accepted, rejected)

    def threshold(self, false_accept_rate: float) -> float:
        """Return the lowest score from which on at most that share of the others is accepted."""
        scores, accepted, _ = self.error_rates
        within = accepted <= false_accept_rate + 1e-12
        if not within.any():
            return float(np.nextafter(scores[0], 2.0))
        lowest = int(np.flatnonzero(within)[-1])
        next_down = scores[min(lowest + 1, len(scores) - 1)]
        return float((scores[lowest] + next_down) / 2)

    def rates_at(self, threshold: float) -> tuple[float, float]:
        """Return the share of others accepted, and of same voices rejected."""
        accepted = self.scores >= threshold
        return float(self.weights[accepted & ~self.same].sum()), float(self.weights[~accepted & self.same].sum())

    def calibration(self) -> tuple[float, float]:
        """Return (slope, offset) of the logistic curve from score to probability, at even prior odds."""
        design = np.stack([self.scores, np.ones_like(self.scores)], axis=1)
        line = np.zeros(2)
        for _ in range(100):  # Newton's method, with a little ridge where the two never overlap
            probability = _sigmoid(design @ line)
            slope = design.T @ (self.weights * (self.same - probability)) - 1e-4 * line
            curve = (design * (self.weights * probability * (1 - probability))[:, None]).T @ design + 1e-4 * np.eye(2)
            step = np.linalg.solve(curve, slope)
            line = line + step
            if np.abs(step).max() < 1e-9:
                break
        return float(line[0]), float(line[1])

    def calibration_error(self, calibration: tuple[float, float]) -> float:
        """Return the gap of the probability and the share of same voices, averaged over bins of probability."""
        probability = _sigmoid(calibration[0] * self.scores + calibration[1])
        place = np.minimum((probability * _N_PROBABILITY_BINS).astype(int), _N_PROBABILITY_BINS - 1)
        gap = np.bincount(place, self.weights * (probability - self.same), minlength=_N_PROBABILITY_BINS)
        return float(np.abs(gap).sum() / self.weights.sum())

    def log_cost(self, calibration: tuple[float, float]) -> float:
        """Return Cllr in bits (Brümmer and du Preez, 2006): 0 for perfect scores, 1 for uninformative ones."""
        evidence = np.clip(calibration[0] * self.scores + calibration[1], -60, 60)
        cost = np.log2(1 + np.exp(np.where(self.same, -evidence, evidence)))
        return float((self.weights * cost).sum() / 2)

    def intervals(self) -> dict[str, list[float] | None]:
        """Return the 95% intervals of `eer` and `min_dcf`, speakers resampled; None with fewer than five."""
        names, codes = np.unique(self.speakers, return_inverse=True)
        if len(names) < _MIN_SPEAKERS:
            return {"eer": None, "min_dcf": None}
        one, other = codes.reshape(-1, 2).T
        edges = np.quantile(self.scores, np.linspace(0, 1, _N_SCORE_BINS + 1)[1:-1])
        place = _N_SCORE_BINS - 1 - np.searchsorted(edges, self.scores)  # falling, as in `error_rates`
        pair = np.minimum(one, other) * len(names) + np.maximum(one, other)
        table = np.zeros((len(names) ** 2, _N_SCORE_BINS))
        np.add.at(table, (pair, place), self.weights)
        first, second = np.divmod(np.arange(len(table)), len(names))

        def rates(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            counts = np.bincount(drawn, minlength=len(names)).astype(float)
            others, same = (counts[first] * counts[second] * (first != second)) @ table, counts @ table[first == second]
            if not others.any() or not same.any():
                return np.array([np.nan]), np.array([np.nan])
            return np.cumsum(others) / others.sum(), (1 - np.cumsum(same) / same.sum()).clip(0)

        speakers = np.arange(len(names)).astype(str)
        spans = {
            "eer": interval_by_speaker(lambda drawn: _equal_error_rate(*rates(drawn)), speakers, n=400),
            "min_dcf": interval_by_speaker(lambda drawn: _min_cost(*rates(drawn)), speakers, n=400),
        }
        return {name: [round(low, 4), round(high, 4)] for name, (low, high) in spans.items()}

    def metrics(self) -> dict[str, Any]:
        """Return plain numbers for JSON."""
        return {
            "eer": round(self.eer(), 4),
            "min_dcf": round(self.min_dcf(), 4),
            "n_trials": len(self.scores),
            "n_same": int(self.same.sum()),
        }


def _equal_error_rate(accepted: np.ndarray, rejected: np.ndarray) -> float:
    accepted, rejected = np.append(0.0, accepted), np.append(1.0, rejected)
    if np.isnan(accepted).any():
        return float("nan")
    after = int(np.argmax(accepted >= rejected))
    gap = (accepted - rejected)[after - 1 : after + 1]
    share = gap[0] / (gap[0] - gap[1])
    return float(accepted[after - 1] + share * (accepted[after] - accepted[after - 1]))


def _min_cost(accepted: np.ndarray, rejected: np.ndarray) -> float:
    cost = rejected + accepted * (1 - _P_TARGET) / _P_TARGET
    return float(min(1.0, cost.min()))


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -60, 60))))
