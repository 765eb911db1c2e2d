"""Functionals of an utterance: means, percentiles, smoothing and segments, against NumPy and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from features.dsp import frames
from features.dsp.functionals import compact_voiced, mean_and_cv, percentiles, segment_statistics, smooth, smooth_valid

HOP_S = 0.010
MASKS = st.lists(st.booleans(), min_size=1, max_size=60)


def rows(*series, device="cpu"):
    """Series of different lengths as (batch, frames), and their mask."""
    lengths = torch.tensor([len(one) for one in series], device=device)
    values = torch.zeros(len(series), int(lengths.max()), device=device)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = torch.as_tensor(one, dtype=torch.float32)
    return values, frames.length_mask(lengths, values.shape[1])


def functionals_of(values, valid):
    """(batch, 6): all that is taken of a series that stands at its row's beginning."""
    return torch.stack([*mean_and_cv(values, valid), *percentiles(values, valid)], dim=-1)


def random_walk(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).cumsum(0)


def test_shape(device):
    values, valid = rows(random_walk(40, 0), random_walk(30, 1), device=device)
    assert functionals_of(values, valid).shape == (2, 6)
    for smoother in (smooth, smooth_valid):
        assert smoother(values, valid).shape == (2, 40)
        assert smoother(values[:, None].expand(2, 5, 40), valid[:, None]).shape == (2, 5, 40)
    assert [part.shape for part in segment_statistics(valid, valid, hop_s=HOP_S)] == [(2,)] * 3


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    series = [random_walk(n, seed=n) for n in (400, 77, 2)[:size]]
    values, own = rows(*series, device=device)
    together, voiced = (
        functionals_of(values, own),
        torch.stack(segment_statistics((values > 0) & own, own, hop_s=HOP_S)),
    )
    for row, one in enumerate(series):
        alone, all_of_it = rows(one, device=device)
        torch.testing.assert_close(functionals_of(alone, all_of_it)[0], together[row], rtol=1e-5, atol=1e-5)
        found = torch.stack(segment_statistics(alone > 0, all_of_it, hop_s=HOP_S))
        torch.testing.assert_close(found[:, 0], voiced[:, row], rtol=1e-5, atol=1e-5)
        for smoother in (smooth, smooth_valid):
            assert torch.equal(smoother(alone, all_of_it)[0], smoother(values, own)[row, : len(one)])


@pytest.mark.parametrize("width", [301, 302, 9000])
def test_padding_is_ignored(width, device):
    values, own = rows(random_walk(300, seed=0), device=device)
    wide = torch.nn.functional.pad(values, (0, width - 300), value=1e6)
    beyond = torch.nn.functional.pad(own, (0, width - 300))
    torch.testing.assert_close(functionals_of(wide, beyond), functionals_of(values, own), rtol=1e-5, atol=1e-5)
    for smoother in (smooth, smooth_valid):
        assert torch.equal(smoother(wide, beyond)[:, :300], smoother(values, own))
        assert not smoother(wide, beyond)[:, 300:].any()
    padded, alone = (
        segment_statistics((wide > 0) & beyond, beyond, hop_s=HOP_S),
        segment_statistics(values > 0, own, hop_s=HOP_S),
    )
    for found, expected in zip(padded, alone, strict=True):
        assert torch.equal(found, expected)


def test_constant_single_frame_and_no_frame(device):
    values, valid = rows([3.0] * 50, [3.0], device=device)
    assert functionals_of(values, valid).tolist() == [[3, 0, 3, 3, 3, 0]] * 2
    assert torch.equal(smooth(values, valid), values)
    assert torch.equal(smooth_valid(values, valid), values)
    nothing = torch.zeros_like(valid)
    assert not functionals_of(values, nothing).any()
    assert not smooth(values, nothing).any()
    assert not smooth_valid(values, nothing).any()
    assert not torch.stack(segment_statistics(nothing, valid, hop_s=HOP_S)).any()


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


def segment_lengths_s(mask, n_own):
    """Lengths of the stretches of a row's own frames: gaps of one frame closed, three frames at least."""
    closed = "".join("x" if on else " " for on in mask[:n_own])
    closed = "".join("x" if closed[max(0, at - 1) : at + 2] == "x x" else on for at, on in enumerate(closed))
    return [(len(run) - 1) * HOP_S for run in closed.split() if len(run) > 2]


@given(masks=st.lists(MASKS, min_size=1, max_size=3), data=st.data())
def test_segments_are_those_of_a_loop(masks, data):
    values, valid = rows(*masks)
    n_own = [data.draw(st.integers(0, len(mask))) for mask in masks]
    own = frames.length_mask(torch.tensor(n_own), values.shape[1])
    found = torch.stack(segment_statistics((values > 0) & valid, own, hop_s=HOP_S))
    for row, mask in enumerate(masks):
        lengths = segment_lengths_s(mask, n_own[row])
        mean, sd = (np.mean(lengths), np.std(lengths)) if lengths else (0, 0)
        np.testing.assert_allclose(found[:, row], [len(lengths), mean, sd], atol=1e-6)


def test_a_gap_of_one_frame_does_not_end_a_segment_and_two_frames_are_none(device):
    """Stretches of 4 + 1 + 3 frames, the gap in them closed; of 2, which does not count; and of 3."""
    mask = torch.tensor([[c == "x" for c in "xxxx xxx  xx  xxx"]], device=device)
    n, mean_s, sd_s = segment_statistics(mask, torch.ones_like(mask), hop_s=HOP_S)
    assert n.item() == 2
    assert mean_s.item() == pytest.approx((0.07 + 0.02) / 2)
    assert sd_s.item() == pytest.approx((0.07 - 0.02) / 2)


@given(length=st.integers(1, 40), spare=st.integers(0, 5), seed=st.integers(0, 2**16))
@settings(max_examples=50)
def test_smoothing_takes_three_and_repeats_the_edges(length, spare, seed):
    values = random_walk(length + spare, seed)
    found = smooth(values[None], frames.length_mask(torch.tensor([length]), length + spare))[0]
    for place in range(length):
        near = [values[min(max(at, 0), length - 1)].item() for at in (place - 1, place, place + 1)]
        assert found[place].item() == pytest.approx(np.mean(near), abs=1e-5)
    assert not found[length:].any()


@given(row=st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40))
def test_smooth_valid_ignores_other_frames_and_zeros(row):
    """The first frame, if it counts, stands for the neighbour that it lacks, and so counts twice in its own mean."""
    values, valid = (torch.tensor(part)[None] for part in zip(*row, strict=True))
    found = smooth_valid(values.float(), valid)[0]
    counts = [value if on else 0 for value, on in row]
    for place, value in enumerate(counts):
        near = [counts[max(at, 0)] for at in (place - 1, place, place + 1) if at < len(counts)]
        expected = np.mean([one for one in near if one]) if value else 0
        assert found[place].item() == pytest.approx(expected, abs=1e-5)


@given(mask=MASKS)
def test_compacting_keeps_the_order(mask):
    together, valid = compact_voiced(torch.arange(1.0, len(mask) + 1)[None], torch.tensor([mask]))
    assert together[valid].tolist() == [place + 1 for place, on in enumerate(mask) if on]
    assert valid[0, : sum(mask)].all()
    assert not together[~valid].any()


def test_invalid_frames_may_hold_anything(device):
    values, valid = rows(random_walk(50, seed=5), device=device)
    values, valid = torch.nn.functional.pad(values, (0, 20)), torch.nn.functional.pad(valid, (0, 20))
    spoilt = torch.where(valid, values, torch.nan)
    assert torch.equal(functionals_of(spoilt, valid), functionals_of(values, valid))
    for smoother in (smooth, smooth_valid):
        assert torch.equal(smoother(spoilt, valid), smoother(values, valid))
    assert torch.equal(compact_voiced(spoilt, valid)[0], compact_voiced(values, valid)[0])
