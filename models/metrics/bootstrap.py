"""How sure is a figure? Intervals over speakers: clips of one voice are no independent witnesses."""

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
    """The 95% percentile interval of `statistic(rows)` when whole speakers are drawn again with replacement.

    `rows` are indices of clips, a speaker's as often as they were drawn. With one speaker there is nothing to draw:
    (nan, nan). Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    names, owner = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    clips = [np.flatnonzero(owner == index) for index in range(len(names))]
    random = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([clips[i] for i in random.integers(len(names), size=len(names))])) for _ in range(n)
    ]
    low, high = np.nanquantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
