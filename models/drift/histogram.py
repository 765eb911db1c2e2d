"""How values are distributed, in little space: counts in buckets that are as wide as the values are large.

The buckets of DDSketch (Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees, VLDB 2019), on both sides of 0. The sketch of two parts is the sum of theirs, in any order.
"""

import math

import numpy as np

RELATIVE_ACCURACY = 0.01  # a bucket's middle is this near to all its values, of their size
MIN_VALUE, MAX_VALUE = 1e-6, 1e6  # what is smaller is in the bucket of 0, what is larger in the outermost

_LOG_GAMMA = math.log((1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY))
MAX_BUCKET = math.ceil(math.log(MAX_VALUE / MIN_VALUE) / _LOG_GAMMA)
N_BUCKETS = 2 * MAX_BUCKET + 1


def buckets(
    values: np.ndarray,  # finite
) -> np.ndarray:
    """The bucket of each value, from -OUTERMOST to OUTERMOST, rising with the value."""
    size = np.abs(values, dtype=np.float64)
    place = np.ceil(np.log(np.maximum(size, MIN_VALUE) / MIN_VALUE) / _LOG_GAMMA)
    return np.asarray(np.sign(values) * np.clip(place, 0, MAX_BUCKET), np.int64)


def bucket_counts(
    values: np.ndarray,  # (n, series), finite
) -> np.ndarray:
    """(series, N_BUCKETS) int64: how many values of each series lie in each bucket."""
    n_series = values.shape[1]
    places = buckets(values) + MAX_BUCKET + N_BUCKETS * np.arange(n_series)
    return np.bincount(places.ravel(), minlength=n_series * N_BUCKETS).reshape(n_series, N_BUCKETS)


def to_sparse(
    counts: np.ndarray,  # (N_BUCKETS,)
) -> tuple[np.ndarray, np.ndarray]:
    """The buckets that hold any, in rising order, and what each holds: as it is stored."""
    held = np.flatnonzero(counts)
    return held - MAX_BUCKET, counts[held]
