"""Numbers by utterance: means, percentiles, turns and segments, against NumPy and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features import frames
from features.functionals import (
    TURN,
    closed_up,
    mean_and_cv,
    peaks,
    percentiles,
    segments,
    slopes,
    smoothed,
    turning_points,
)

HOP_S = 0.010
MASKS = st.lists(st.booleans(), min_size=1, max_size=60)


def rows(*series, device="cpu"):
    """Series of different lengths as (batch, frames), and their mask."""
    lengths = torch.tensor([len(one) for one in series], device=device)
    values = torch.zeros(len(series), int(lengths.max()), device=device)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = torch.as_tensor(one, dtype=torch.float32)
    return values, frames.mask(lengths, values.shape[1])


def of(values, valid):
    """(batch, 12): all that is taken of a series that stands at its row's beginning."""
    parts = (*mean_and_cv(values, valid), *percentiles(values, valid), *slopes(values, valid, hop_s=HOP_S))
    return torch.stack([*parts, peaks(values, valid), turning_points(values, valid).sum(-1)], dim=-1)


def wander(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).cumsum(0)


def zigzag(values):
    """Turns of more than TURN of the range, by walking: an extreme stands once the series has left it far enough."""
    swing = TURN * (max(values) - min(values))
    turns, high, low, rising, falling = [], 0, 0, True, True
    for place, value in enumerate(values):
        high = place if value > values[high] else high
        low = place if value < values[low] else low
        if rising and values[high] - value > swing:
            turns.append(high)
            rising, falling, low = False, True, place
        elif falling and value - values[low] > swing:
            turns.append(low)
            rising, falling, high = True, False, place
    if turns:  # the last extreme, from which the series has not come back yet
        turns.append(high if rising else low)
    return turns


def test_shape(device):
    values, valid = rows(wander(40, 0), wander(30, 1), device=device)
    assert of(values, valid).shape == (2, 12)
    assert smoothed(values[:, None].expand(2, 5, 40), valid[:, None]).shape == (2, 5, 40)
    assert [part.shape for part in segments(valid, hop_s=HOP_S)] == [(2,)] * 3


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    series = [wander(n, seed=n) for n in (400, 77, 2)[:size]]
    together = of(*rows(*series, device=device))
    for row, one in enumerate(series):
        torch.testing.assert_close(of(*rows(one, device=device))[0], together[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [301, 1000, 9000, 20_000])
def test_padding_is_ignored(width, device):
    """Also where a neighbour is minutes long: the last turn of a short row must still know that it is the last."""
    values, valid = rows(wander(300, seed=0), device=device)
    wide = torch.nn.functional.pad(values, (0, width - 300), value=1e6)
    beyond = torch.nn.functional.pad(valid, (0, width - 300))
    torch.testing.assert_close(of(wide, beyond), of(values, valid), rtol=1e-5, atol=1e-5)
    for wider, alone in zip(segments(beyond, hop_s=HOP_S), segments(valid, hop_s=HOP_S), strict=True):
        assert torch.equal(wider, alone)


def test_constant_single_frame_and_nothing(device):
    values, valid = rows([3.0] * 50, [3.0], device=device)
    assert of(values, valid).tolist() == [[3, 0, 3, 3, 3, 0, *[0] * 6]] * 2
    assert not of(values, torch.zeros_like(valid)).any()
    assert not torch.stack(segments(torch.zeros_like(valid), hop_s=HOP_S)).any()


@given(values=st.lists(st.integers(-10, 19), min_size=1, max_size=60))
def test_turns_are_those_of_a_walk(values):
    assume((max(values) - min(values)) % 10)  # or a step could be just as large as the smallest swing that counts
    found = turning_points(*rows(values))[0]
    assert found.nonzero().flatten().tolist() == zigzag(values)


def test_turns_of_long_series_are_those_of_a_walk(device):
    series = [wander(n, seed=n) for n in (3000, 701)]
    found = turning_points(*rows(*series, device=device))
    for row, one in zip(found, series, strict=True):
        assert row.nonzero().flatten().tolist() == zigzag(one.tolist())


@given(values=st.lists(st.integers(0, 29), min_size=1, max_size=60))
def test_slopes_and_peaks_are_those_between_turns(values):
    assume((max(values) - min(values)) % 10)
    turns = zigzag(values)
    steep = np.diff([values[turn] for turn in turns]) / np.diff(turns) / HOP_S
    expected = []
    for side in (steep[steep > 0], -steep[steep < 0]):
        expected += [side.mean(), side.std()] if len(side) else [0, 0]
    series = rows(values)
    np.testing.assert_allclose(torch.cat(slopes(*series, hop_s=HOP_S)), expected, rtol=1e-3, atol=0.05)
    up = [turn for turn in turns if turn and values[turn] > values[turn - 1]]
    assert peaks(*series).item() == len(up)


def test_slopes_of_a_triangle_wave(device):
    """Up by 10 in 0.2 s, down by 10 in 0.1 s: 50 and 100 a second, without spread."""
    wave = [0.5 * place if place < 20 else 10 - (place - 20) for place in range(30)] * 5
    found = slopes(*rows(wave, device=device), hop_s=HOP_S)
    assert torch.cat(found).tolist() == pytest.approx([50, 0, 100, 0], abs=0.01)
    assert peaks(*rows(wave, device=device)).item() == 5


def test_small_ripples_are_no_turns(device):
    ramp = torch.arange(100) + 4.0 * torch.tensor([0.0, 1.0]).repeat(50)
    assert turning_points(*rows(ramp, device=device))[0].nonzero().flatten().tolist() == [0, 99]


@given(values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=80))
def test_percentiles_and_means_match_numpy(values):
    low, middle, high, spread = percentiles(*rows(values))
    expected = np.percentile(values, (20, 50, 80))
    np.testing.assert_allclose(torch.cat([low, middle, high]), expected, rtol=1e-4, atol=1e-4)
    assert spread.item() == pytest.approx(expected[2] - expected[0], rel=1e-4, abs=1e-4)
    mean, cv = mean_and_cv(*rows(np.array(values) + 200))
    assert mean.item() == pytest.approx(np.mean(values) + 200, rel=1e-4)
    assert cv.item() == pytest.approx(np.std(values) / mean.item(), rel=1e-3, abs=1e-5)


def test_variation_has_the_sign_of_its_mean(device):
    _, cv = mean_and_cv(*rows([1.0, 3.0], [-1.0, -3.0], [-1.0, 1.0], device=device))
    assert cv.tolist() == [0.5, -0.5, 0]


@given(masks=st.lists(MASKS, min_size=1, max_size=3))
def test_segments_are_those_of_a_loop(masks):
    values, valid = rows(*masks)
    found = torch.stack(segments((values > 0) & valid, hop_s=HOP_S))
    for row, mask in enumerate(masks):
        runs = [len(run) for run in "".join("x" if on else " " for on in mask).split()]
        lengths = np.array(runs or [0]) * HOP_S
        np.testing.assert_allclose(found[:, row], [len(runs), lengths.mean(), lengths.std()], atol=1e-6)


@given(mask=MASKS, seed=st.integers(0, 2**16))
@settings(max_examples=50)
def test_smoothing_takes_the_valid_of_three(mask, seed):
    values = wander(len(mask), seed)
    found = smoothed(values[None], torch.tensor([mask]))[0]
    for place, on in enumerate(mask):
        near = [values[at].item() for at in range(max(0, place - 1), min(len(mask), place + 2)) if mask[at]]
        assert found[place].item() == pytest.approx(np.mean(near) if on else 0, abs=1e-5)


@given(mask=MASKS)
def test_closing_up_keeps_what_counts_in_order(mask):
    together, valid = closed_up(torch.arange(1.0, len(mask) + 1)[None], torch.tensor([mask]))
    assert together[valid].tolist() == [place + 1 for place, on in enumerate(mask) if on]
    assert valid[0, : sum(mask)].all()
    assert not together[~valid].any()


def test_invalid_frames_may_hold_anything(device):
    values, valid = rows(wander(50, seed=5), device=device)
    values, valid = torch.nn.functional.pad(values, (0, 20)), torch.nn.functional.pad(valid, (0, 20))
    spoilt = torch.where(valid, values, torch.nan)
    assert torch.equal(of(spoilt, valid), of(values, valid))
    assert torch.equal(smoothed(spoilt, valid), smoothed(values, valid))
    assert torch.equal(closed_up(spoilt, valid)[0], closed_up(values, valid)[0])
