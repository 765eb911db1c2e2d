"""Turns of a contour and the slopes between them, against a loop over one row in plain Python."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from features.dsp import frames
from features.dsp import slopes as turns

HOP_S = 0.010


def rows(*series, device="cpu"):
    """Series of different lengths as (batch, frames), and their mask."""
    lengths = torch.tensor([len(one) for one in series], device=device)
    values = torch.zeros(len(series), int(lengths.max()), device=device)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = torch.as_tensor(one, dtype=torch.float32)
    return values, frames.length_mask(lengths, values.shape[1])


def find(*series, device="cpu"):
    return turns.contour_slopes(*rows(*series, device=device), hop_s=HOP_S)


def slopes(*series, device="cpu"):
    """(batch, 4): mean and standard deviation of the rises, then of the falls."""
    found = find(*series, device=device)
    return torch.cat([found.rising, found.falling], dim=-1)


def random_walk(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).cumsum(0).tolist()


def walk(x):
    """The turns of one row by walking, as (frame, is a peak)."""
    swing = turns.MIN_SWING * (max(x) - min(x))
    found, low, high, valley = [], x[0], x[0], math.inf
    for at in range(turns.EDGE_FRAMES, len(x) - turns.EDGE_FRAMES):
        is_top, is_bottom = x[at - 1] < x[at] > x[at + 1], x[at - 1] > x[at] < x[at + 1]
        last = x[found[-1][0]] if found else x[0]
        after_peak, after_valley = (bool(found) and found[-1][1] is kind for kind in (True, False))
        if is_top:
            clear = abs(x[at] - low) > swing
            if (clear and x[at] > last) if after_peak else (clear or x[at] - valley > swing):
                found = [*(found[:-1] if after_peak else found), (at, True)]
                valley = math.inf
            high = x[at]
        elif is_bottom:
            if x[at] < last if after_valley else last - x[at] > swing:
                found = [*(found[:-1] if after_valley else found), (at, False)]
                valley = x[at] if high - x[at] > swing else valley
            low = x[at]
    return found


def summarise(x, found):
    """Mean and spread of the rises and of the falls between the turns of one row."""
    if not found:
        change = (x[-1] - x[0]) / len(x)
        return [max(change, 0), 0, min(change, 0), 0]
    places = [0, *(at for at, _ in found), len(x) - 1]
    steep = [(x[last] - x[first]) / (last - first) / HOP_S for first, last in pairwise(places)]
    summary = []
    for is_peak, sign in ((True, 1), (False, -1)):
        ending = [sign * slope for slope, (_, kind) in zip(steep, found, strict=False) if kind is is_peak]
        behind = [steep[-1]] if found[-1][1] is not is_peak else []
        n = max(1, len(ending) + len(behind))
        mean = sum(ending + behind) / n
        summary += [mean, math.sqrt(sum((slope - mean) ** 2 for slope in ending) / n)]
    return summary


def assert_same_as_walk(*series, device="cpu"):
    found = find(*series, device=device)
    together = torch.cat([found.rising, found.falling], dim=-1).cpu()
    for row, one in enumerate(series):
        expected = walk(one)
        assert found.peaks[row].nonzero().flatten().tolist() == [at for at, is_peak in expected if is_peak]
        np.testing.assert_allclose(together[row], summarise(one, expected), rtol=1e-3, atol=0.01)


def test_shape(device):
    found = find(random_walk(40, 0), random_walk(30, 1), device=device)
    assert found.peaks.shape == (2, 40)
    assert found.peaks.dtype == torch.bool
    assert found.rising.shape == found.falling.shape == (2, 2)


@given(steps=st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=80), min_size=1, max_size=3))
def test_turns_are_those_of_a_walk(steps):
    """Whole numbers, in ranges in which no step equals the swing exactly."""
    series = [np.cumsum(one).tolist() for one in steps]
    for one in series:
        assume((max(one) - min(one)) % 10 or max(one) == min(one))
    assert_same_as_walk(*series)


@given(values=st.lists(st.integers(0, 29), min_size=1, max_size=60))
def test_turns_of_noise_are_those_of_a_walk(values):
    assume((max(values) - min(values)) % 10)
    assert_same_as_walk(values)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_turns_of_long_series_are_those_of_a_walk(seed, device):
    assert_same_as_walk(random_walk(3000, seed), random_walk(701, seed + 10), random_walk(90, seed + 20), device=device)


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    series = [random_walk(n, seed=n) for n in (400, 77, 2)[:size]]
    together = find(*series, device=device)
    for row, one in enumerate(series):
        alone = find(one, device=device)
        assert torch.equal(alone.peaks[0], together.peaks[row, : len(one)])
        assert not together.peaks[row, len(one) :].any()
        torch.testing.assert_close(alone.rising[0], together.rising[row], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.falling[0], together.falling[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("filling", [1e6, math.inf, math.nan])
@pytest.mark.parametrize("width", [301, 303, 20_000])
def test_padding_is_ignored(width, filling, device):
    values, valid = rows(random_walk(300, seed=0), device=device)
    wide = torch.nn.functional.pad(values, (0, width - 300), value=filling)
    beyond = torch.nn.functional.pad(valid, (0, width - 300))
    alone, padded = (turns.contour_slopes(*row, hop_s=HOP_S) for row in ((values, valid), (wide, beyond)))
    assert torch.equal(padded.peaks[:, :300], alone.peaks)
    assert not padded.peaks[:, 300:].any()
    torch.testing.assert_close((padded.rising, padded.falling), (alone.rising, alone.falling), rtol=1e-5, atol=1e-5)


def test_a_constant_and_an_empty_row_have_no_turn(device):
    values, valid = rows([3.0] * 50, random_walk(50, seed=1), device=device)
    valid[1] = False
    found = turns.contour_slopes(values, valid, hop_s=HOP_S)
    assert not found.peaks.any()
    assert not torch.cat([found.rising, found.falling]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_row_of_few_frames_has_no_turn(n, device):
    """No frame is two away from either end, so the change a frame is all that is said."""
    assert not find([0.0, 9.0, 1.0, 5.0][:n], device=device).peaks.any()
    change = [0, 9 / 2, 1 / 3, 5 / 4][n - 1]
    assert slopes([0.0, 9.0, 1.0, 5.0][:n], device=device)[0].tolist() == pytest.approx([change, 0, 0, 0])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_slope_of_a_row_without_a_turn_is_its_change_per_frame(sign, device):
    """Per frame and not per second; a fall keeps its sign, as eGeMAPSv02 has it."""
    expected = [0.5 * 39 / 40, 0, 0, 0] if sign > 0 else [0, 0, -0.5 * 39 / 40, 0]
    found = slopes([sign * 0.5 * place for place in range(40)], device=device)
    assert found[0].tolist() == pytest.approx(expected)


def up_down_up():
    """By 10 each: up in 0.2 s, down in 0.1 s, up in 0.4 s."""
    return np.interp(range(71), [0, 20, 30, 70], [0, 10, 0, 10])


def test_a_triangle_has_the_slopes_it_was_made_with(device):
    """Rises of 50 and 25 a second: the second ends in no turn and does not add to the spread."""
    assert find(up_down_up(), device=device).peaks[0].nonzero().flatten().tolist() == [20]
    expected = [37.5, 12.5 / math.sqrt(2), 100, 0]
    assert slopes(up_down_up(), device=device)[0].tolist() == pytest.approx(expected, abs=0.01)


def test_a_fall_behind_the_last_peak_counts_negative(device):
    """Upside down: 50 a second down to the valley, and 25 behind the peak, which are subtracted."""
    assert find(-up_down_up(), device=device).peaks[0].nonzero().flatten().tolist() == [30]
    expected = [100, 0, 12.5, 37.5 / math.sqrt(2)]
    assert slopes(-up_down_up(), device=device)[0].tolist() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("n_swells", [1, 5, 25])
def test_peaks_of_a_swelling_series(n_swells, device):
    swell = 2 - torch.cos(2 * torch.pi * n_swells * torch.arange(301) / 300)
    assert find(swell, device=device).peaks.sum().item() == n_swells


def test_ripples_of_less_than_a_tenth_of_the_range_are_no_turns(device):
    """5 up and 3 down on the way to 103; the same ripples on a way to 30 are turns."""
    ramp = torch.arange(100) + 4.0 * torch.tensor([0.0, 1.0]).repeat(50)
    found = find(ramp, ramp[:30], device=device)
    assert found.peaks.any(-1).tolist() == [False, True]


def test_a_higher_peak_replaces_the_one_before(device):
    """From 6 to 10 the contour dips by a ripple only; the slope is that from the beginning to the top."""
    contour = np.interp(range(41), [0, 8, 10, 16, 40], [0, 6, 5.5, 10, 0])
    assert find(contour, device=device).peaks[0].nonzero().flatten().tolist() == [16]
    assert slopes(contour, device=device)[0, 0].item() == pytest.approx(10 / 0.16, rel=1e-4)


@pytest.mark.parametrize("edge", [1, -2])
def test_the_two_frames_at_either_end_are_no_turns(edge, device):
    contour = [0.0] * 20
    contour[edge] = 5.0
    assert not find(contour, device=device).peaks.any()
