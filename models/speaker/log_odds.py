"""Log odds that two voices are one, from the cosine of their embeddings and the seconds of speech behind each.

Speech averages out what is not the voice: of `s` seconds a share s / (s + half_s) of an embedding is the speaker's, so
two embeddings of one voice are as alike as the square root x of the product of their shares. Were the cosines of one
voice and of two normal and equally wide, the log odds would be linear in cosine, x · cosine and x². The weights of
these are fitted by logistic regression, as scores are calibrated with the durations as quality measures (Mandasari et
al., IEEE Trans. Audio, Speech, and Language Processing 21(11), 2013).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from data_contracts.errors import UsageError

MIN_S, MAX_S = 0.3, 20.0  # of speech that counts: no pair of the fit has less, and more makes no difference
_HALF_S = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_RIDGE = 1e-4  # of weights of log odds: keeps them finite where the two kinds of pairs do not overlap
_MAX_PAIRS = 200_000  # of each kind and corpus


@dataclass(frozen=True)
class LogOdds:
    """Weights of (1, cosine, x, x · cosine, x²); x is 1 for endless speech."""

    half_s: float
    weights: tuple[float, float, float, float, float]

    def __call__(
        self,
        cosines: np.ndarray,  # (…)
        seconds_1: np.ndarray,  # (…) speech behind the first embedding of each pair
        seconds_2: np.ndarray,
    ) -> np.ndarray:  # (…) natural logarithm, at even prior odds
        """Return log odds, which never fall where a cosine rises."""
        x = np.sqrt(self._share(seconds_1) * self._share(seconds_2))
        constant, cosine, length, both, square = self.weights
        slope = np.maximum(cosine + both * x, 0.0)
        return np.asarray(constant + slope * cosines + length * x + square * x * x)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "weights": list(self.weights)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `as_dict` wrote."""
        constant, cosine, length, both, square = map(float, stored["weights"])
        return cls(float(stored["half_s"]), (constant, cosine, length, both, square))

    def _share(self, seconds: np.ndarray) -> np.ndarray:
        return _share(seconds, self.half_s)


def fit_log_odds(
    vectors: np.ndarray,  # (n, dim) of unit length, centred as they are compared
    speakers: np.ndarray,  # (n,)
    corpora: np.ndarray,  # (n,); pairs are within one
    seconds: np.ndarray,  # (n,) speech
    *,
    sessions: np.ndarray | None = None,  # (n,) room, line and day; pairs within one are left out where they are known
    seed: int = 0,
) -> LogOdds:
    """Fit the log odds on all pairs within each corpus: corpora count alike, and so do pairs of one voice and of two.

    A voice is less alike in another room or through a telephone than in the same minute: log odds of one session alone
    ask too much of long speech. Raises UsageError where no corpus has both kinds of pairs.
    """
    sessions = np.arange(len(vectors)) if sessions is None else sessions
    parts = [
        _pairs(vectors[rows], speakers[rows], seconds[rows], sessions[rows], np.random.default_rng(seed))
        for rows in (np.flatnonzero(corpora == name) for name in np.unique(corpora))
        if 1 < len(np.unique(speakers[rows])) < len(rows)
    ]
    if not parts:
        raise UsageError(
            f"expected a corpus with two speakers, one of them heard twice; found {len(vectors)} utterances of "
            f"{len(np.unique(speakers))} speakers: fill in the column speaker, or add clips"
        )
    cosines, first_s, second_s, same, weights = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    fits = []
    for half_s in _HALF_S:
        x = np.sqrt(_share(first_s, half_s) * _share(second_s, half_s))
        design = np.stack([np.ones_like(x), cosines, x, x * cosines, x * x], axis=1)
        line = _logistic_regression(design, same, weights / len(parts))
        loss = np.logaddexp(0, np.where(same, -1, 1) * (design @ line)) @ weights
        fits.append((float(loss), LogOdds(half_s, tuple(map(float, line)))))  # type: ignore[arg-type]
    return min(fits, key=lambda fit: fit[0])[1]


def _pairs(
    vectors: np.ndarray, speakers: np.ndarray, seconds: np.ndarray, sessions: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return cosine, both lengths, whether it is one voice, and weight of pairs; of many, as many as are drawn."""
    first, second = np.triu_indices(len(vectors), 1)
    apart = sessions[first] != sessions[second]
    first, second = first[apart], second[apart]
    same = speakers[first] == speakers[second]
    chosen = np.sort(
        np.concatenate(
            [
                random.choice(rows, min(len(rows), _MAX_PAIRS), replace=False)
                for rows in (np.flatnonzero(same), np.flatnonzero(~same))
            ]
        )
    )
    first, second, same = first[chosen], second[chosen], same[chosen]
    weights = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    return np.einsum("nd,nd->n", vectors[first], vectors[second]), seconds[first], seconds[second], same, weights


def _share(seconds: np.ndarray, half_s: float) -> np.ndarray:
    clipped = np.clip(np.asarray(seconds, np.float64), MIN_S, MAX_S)
    return np.asarray(clipped / (clipped + half_s))


def _logistic_regression(design: np.ndarray, same: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weights of the columns by Newton's method, with a little ridge."""
    line, ridge = np.zeros(design.shape[1]), _RIDGE * np.eye(design.shape[1])
    for _ in range(100):
        probability = 1 / (1 + np.exp(-np.clip(design @ line, -60, 60)))
        slope = design.T @ (weights * (same - probability)) - ridge @ line
        curve = (design * (weights * probability * (1 - probability))[:, None]).T @ design + ridge
        step = np.linalg.solve(curve, slope)
        line = line + step
        if np.abs(step).max() < 1e-9:
            break
    return line
