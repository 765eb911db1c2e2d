"""Batches hold every waveform once, in a bounded size, and padding is zeros."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from features.batches import padded, sorted_batches

lengths = st.lists(st.integers(0, 100), max_size=40)


@given(lengths, st.integers(1, 300))
def test_every_index_comes_once_in_order_of_length(lengths, most):
    order = [index for batch in sorted_batches(lengths, most_samples=most) for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths)


@given(lengths, st.integers(1, 300))
def test_the_padded_size_is_bounded_unless_one_is_alone(lengths, most):
    for batch in sorted_batches(lengths, most_samples=most):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= most


def test_nothing_makes_no_batch():
    assert list(sorted_batches([], most_samples=10)) == []


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_padding_is_zeros_behind_the_end(sizes):
    waveforms = [np.full(size, 1.0 + n, np.float32) for n, size in enumerate(sizes)]
    batch, lengths = padded(waveforms, torch.device("cpu"))
    assert batch.dtype == torch.float32
    assert batch.shape == (len(sizes), max(sizes))
    assert lengths.tolist() == sizes
    for row, waveform, size in zip(batch, waveforms, sizes, strict=True):
        np.testing.assert_array_equal(row[:size], waveform)
        assert not row[size:].any()


def test_padded_goes_where_it_is_asked_to(device):
    batch, lengths = padded([np.ones(3, np.float32)], device)
    assert batch.device.type == lengths.device.type == device.type
