"""Compact histograms: counts in buckets whose width grows with the values.

The buckets of DDSketch (Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees, VLDB 2019), on both sides of 0. The sketch of two parts is the sum of theirs, in any order.
"""

import math

import numpy as np

RELATIVE_ACCURACY = 0.01  # of a bucket's middle, for all its values
MIN_VALUE, MAX_VALUE = 1e-6, 1e6  # smaller values fall into the bucket of 0, larger ones into the outermost

_LOG_GAMMA = math.log((1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY))
MAX_BUCKET = math.ceil(math.log(MAX_VALUE / MIN_VALUE) / _LOG_GAMMA)
N_BUCKETS = 2 * MAX_BUCKET + 1


def buckets(
    values: np.ndarray,  # finite
) -> np.ndarray:
    """Return the bucket of each value, from -MAX_BUCKET to MAX_BUCKET, rising with the value."""
    size = np.abs(values, dtype=np.float64)
    place = np.ceil(np.log(np.maximum(size, MIN_VALUE) / MIN_VALUE) / _LOG_GAMMA)
    return np.asarray(np.sign(values) * np.clip(place, 0, MAX_BUCKET), np.int64)


def bucket_counts(
    values: np.ndarray,  # (n, series), finite
) -> np.ndarray:
    """Return (series, N_BUCKETS) int64, the number of values of each series in each bucket."""
    n_series = values.shape[1]
    places = buckets(values) + MAX_BUCKET + N_BUCKETS * np.arange(n_series)
    return np.bincount(places.ravel(), minlength=n_series * N_BUCKETS).reshape(n_series, N_BUCKETS)


def to_sparse(
    counts: np.ndarray,  # (N_BUCKETS,)
) -> tuple[np.ndarray, np.ndarray]:
    """Return the occupied buckets, in rising order, and their counts, as they are stored."""
    occupied = np.flatnonzero(counts)
    return occupied - MAX_BUCKET, counts[occupied]
