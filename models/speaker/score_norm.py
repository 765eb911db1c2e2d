"""Score normalisation: adaptive s-norm against a cohort, so that an average voice needs a higher similarity."""

from dataclasses import dataclass

import numpy as np


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosines (n, m) float64 of (n, dim) and (m, dim) of unit length."""
    return np.asarray(first.astype(np.float64) @ second.astype(np.float64).T)


@dataclass(frozen=True)
class Cohort:
    """Cohort of strangers: the mean vectors of the training's speakers, none of which is compared."""

    vectors: np.ndarray  # (k, dim) float32 of unit length
    nearest: int  # of them that a voice is measured against
    threshold: float = 0.0  # the score from which on two voices count as the same
    calibration: tuple[float, float] = (1.0, 0.0)  # (slope, offset) from score to the log odds of it

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the adaptive s-norm (n, m) of the cosines of (n, dim) and (m, dim) of unit length.

        The distance, in standard deviations, from the cosines of the `nearest` strangers to either voice, averaged over
        the two (Matějka et al., Interspeech 2017).
        """
        (mean_1, spread_1), (mean_2, spread_2) = self._stranger_statistics(first), self._stranger_statistics(second)
        alike = cosines(first, second)
        deviations_1, deviations_2 = (alike - mean_1[:, None]) / spread_1[:, None], (alike - mean_2) / spread_2
        return np.asarray((deviations_1 + deviations_2) / 2)

    def _stranger_statistics(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        alike = cosines(vectors, self.vectors)
        n = min(self.nearest, alike.shape[1])
        near = np.partition(alike, -n, axis=1)[:, -n:]
        return near.mean(1), near.std(1).clip(1e-6)


def speaker_means(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return the speakers' mean vectors (k, dim) float32 of unit length, in the order of their names."""
    means = np.stack([vectors[speakers == name].mean(0) for name in np.unique(speakers)])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-9), np.float32)
