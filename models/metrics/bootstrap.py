"""Bootstrap intervals over speakers: clips of one voice are not independent observations."""

from collections.abc import Callable, Sequence

import numpy as np

_LEVEL = 0.95


def interval_by_speaker(
    statistic: Callable[[np.ndarray], float],
    speakers: Sequence[str] | np.ndarray,
    *,
    n: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95% percentile interval of `statistic(rows)`, whole speakers resampled with replacement.

    `rows` are indices of clips, a speaker's as often as the speaker was resampled. (nan, nan) with a single
    speaker. Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    names, speaker_index = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    clips = [np.flatnonzero(speaker_index == index) for index in range(len(names))]
    random = np.random.default_rng(seed)
    resampled = [
        statistic(np.concatenate([clips[i] for i in random.integers(len(names), size=len(names))])) for _ in range(n)
    ]
    low, high = np.nanquantile(resampled, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
