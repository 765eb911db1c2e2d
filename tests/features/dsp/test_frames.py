"""Framing, zero padding, and masked statistics against NumPy's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features.dsp import frames

WINDOW, HOP = 400, 160


@given(length=st.integers(0, 5000))
def test_n_frames_is_the_number_of_windows_that_fit_and_at_least_one(length):
    fitting = len(range(0, length - WINDOW + 1, HOP))
    assert frames.n_frames(torch.tensor([length]), window=WINDOW, hop=HOP).item() == max(1, fitting)
    assert frames.max_frames(length, window=WINDOW, hop=HOP) == max(1, fitting)


@given(time=st.integers(1, 3000))
@settings(deadline=None)
def test_frame_gives_exactly_the_frames_that_fit(time):
    waveform = torch.arange(time, dtype=torch.float32)[None]
    framed = frames.frame(waveform, window=WINDOW, hop=HOP)
    assert framed.shape == (1, frames.max_frames(time, window=WINDOW, hop=HOP), WINDOW)
    assert framed[0, -1, 0] == (framed.shape[1] - 1) * HOP


def test_shorter_than_a_window_is_one_zero_padded_frame():
    framed = frames.frame(torch.ones(2, 200), window=WINDOW, hop=HOP)
    assert framed.shape == (2, 1, WINDOW)
    assert framed.sum(-1).flatten().tolist() == [200, 200]


def test_padding_is_ignored(device):
    waveform = torch.tensor([[1.0, 2.0, float("nan")], [4.0, float("inf"), 6.0]], device=device)
    silenced = frames.zero_padding(waveform, torch.tensor([2, 1], device=device))
    assert silenced.tolist() == [[1, 2, 0], [4, 0, 0]]


@pytest.mark.parametrize("lengths", [[4], [-1], [1, 1]])
def test_lengths_out_of_range_are_refused(lengths):
    with pytest.raises(UsageError, match="expected"):
        frames.zero_padding(torch.zeros(1, 3), torch.tensor(lengths))


def test_an_empty_batch_is_refused():
    with pytest.raises(UsageError, match="at least one row"):
        frames.zero_padding(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6), seed=st.integers(0, 2**16))
@settings(deadline=None, max_examples=60)
def test_masked_statistics_match_numpy(sizes, seed):
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(len(sizes), 3, 40)).astype(np.float32))
    valid = frames.length_mask(torch.tensor(sizes), 40)[:, None]
    mean, sd = frames.masked_mean(values, valid), frames.masked_sd(values, valid)
    quantiles = frames.masked_quantiles(values, valid, (0.2, 0.5, 0.8))
    for row, size in enumerate(sizes):
        kept = values[row, :, :size].numpy()
        if size == 0:
            kept = np.zeros((3, 1))  # nothing to be taken over is 0
        np.testing.assert_allclose(mean[row], kept.mean(-1), atol=1e-6)
        np.testing.assert_allclose(sd[row], kept.std(-1), atol=1e-6)
        np.testing.assert_allclose(quantiles[row], np.quantile(kept, (0.2, 0.5, 0.8), axis=-1).T, atol=1e-5)


def test_masked_statistics_ignore_invalid_places(device):
    values = torch.tensor([[1.0, 3.0, float("nan"), float("inf")]], device=device)
    valid = torch.tensor([[True, True, False, False]], device=device)
    assert frames.masked_mean(values, valid).item() == 2
    assert frames.masked_sd(values, valid).item() == 1
    assert frames.masked_quantiles(values, valid, (0.5,)).item() == 2
