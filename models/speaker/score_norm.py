"""Scores relative to strangers: a voice that is like everybody must be more alike to count as the same."""

from dataclasses import dataclass

import numpy as np


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, dim) and (m, dim) of unit length to (n, m) float64."""
    return np.asarray(first.astype(np.float64) @ second.astype(np.float64).T)


@dataclass(frozen=True)
class Cohort:
    """Voices known to be none of those compared: the mean vectors of the training's speakers."""

    vectors: np.ndarray  # (k, dim) float32 of unit length
    nearest: int  # of them that a voice is measured against
    threshold: float = 0.0  # the score from which on two voices count as the same
    calibration: tuple[float, float] = (1.0, 0.0)  # (slope, offset) from score to the log odds of it

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(n, dim) and (m, dim) of unit length to (n, m): the adaptive s-norm of their cosines.

        How many standard deviations above those of the `nearest` strangers to the one and to the other voice, the two
        averaged (Matějka et al., Interspeech 2017).
        """
        (mean_1, spread_1), (mean_2, spread_2) = self._strangers(first), self._strangers(second)
        alike = cosines(first, second)
        above_1, above_2 = (alike - mean_1[:, None]) / spread_1[:, None], (alike - mean_2) / spread_2
        return np.asarray((above_1 + above_2) / 2)

    def _strangers(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        alike = cosines(vectors, self.vectors)
        n = min(self.nearest, alike.shape[1])
        near = np.partition(alike, -n, axis=1)[:, -n:]
        return near.mean(1), near.std(1).clip(1e-6)


def speaker_means(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """(n, dim) vectors and whose they are to (k, dim) float32 of unit length, speakers in the order of their names."""
    means = np.stack([vectors[speakers == name].mean(0) for name in np.unique(speakers)])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-9), np.float32)
