"""Histograms: independent of order and parts, and accurate to a known share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.drift import histogram

_PART = hnp.arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-1e9, 1e9, width=32))


@given(st.lists(_PART, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_parts_in_any_order_make_the_sketch_of_the_whole(parts, random):
    whole = histogram.bucket_counts(np.concatenate(parts))
    random.shuffle(parts)
    assert (sum(map(histogram.bucket_counts, parts)) == whole).all()
    assert (whole.sum(axis=1) == sum(map(len, parts))).all()


@given(_PART, _PART, _PART)
def test_merging_is_associative(a, b, c):
    one, two, three = map(histogram.bucket_counts, (a, b, c))
    assert ((one + two) + three == one + (two + three)).all()


@given(st.floats(histogram.MIN_VALUE, histogram.MAX_VALUE), st.sampled_from([-1, 1]))
def test_values_of_a_bucket_are_within_the_accuracy_of_its_middle(size, sign):
    (bucket,) = histogram.buckets(np.array([sign * size]))
    gamma = (1 + histogram.RELATIVE_ACCURACY) / (1 - histogram.RELATIVE_ACCURACY)
    middle = histogram.MIN_VALUE * 2 * gamma ** abs(bucket) / (gamma + 1)
    assert np.sign(bucket) in (0, sign)
    assert middle == pytest.approx(size, rel=histogram.RELATIVE_ACCURACY * (1 + 1e-6))


@given(hnp.arrays(np.float64, 30, elements=st.floats(-1e9, 1e9)))
def test_buckets_rise_with_the_values(values):
    assert (np.diff(histogram.buckets(np.sort(values))) >= 0).all()


def test_zero_and_what_is_nearly_zero_or_beyond_all():
    buckets = histogram.buckets(np.array([0.0, -0.0, 1e-9, -1e-9, 1e30, -1e30]))
    assert buckets.tolist() == [0, 0, 0, 0, histogram.MAX_BUCKET, -histogram.MAX_BUCKET]
    assert np.iinfo(np.int16).max > histogram.MAX_BUCKET, "as they are stored"


def test_what_is_stored_are_the_buckets_that_hold_any():
    counts = histogram.bucket_counts(np.array([[-2.0], [0.0], [3.0], [3.0]]))
    buckets, n = histogram.to_sparse(counts[0])
    assert n.tolist() == [1, 1, 2]
    assert buckets.tolist() == histogram.buckets(np.array([-2.0, 0.0, 3.0])).tolist()
