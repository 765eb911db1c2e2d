"""Jitter and shimmer of pulse trains that are perturbed by a known amount."""

import math

import pytest
import torch
from torch import Tensor

from features.dsp.jitter_shimmer import PIECE_FRAMES, jitter_and_shimmer

RATE, HOP = 16_000, 160


def train(periods: Tensor, heights: Tensor) -> Tensor:
    """(time,): one smooth pulse of 8 samples' deviation a period."""
    middles = 100 + periods.cumsum(0)
    time = torch.arange(int(middles[-1]), dtype=torch.float64)
    pulses = heights[:, None] * torch.exp(-0.5 * ((time - middles[:, None]) / 8).square())
    return (0.3 * pulses.sum(0)).float()


def perturbation(waveform: Tensor, device: torch.device, hz: float = 100.0) -> tuple[Tensor, Tensor]:
    n_frames = (len(waveform) - 960) // HOP
    f0_hz = torch.full((1, n_frames), hz, device=device)
    return jitter_and_shimmer(waveform[None].to(device), f0_hz, hop=HOP, sample_rate=RATE)


@pytest.mark.parametrize("share", [0.01, 0.02])
def test_periods_that_vary_by_a_known_share(share, device):
    """Lengths that vary independently differ by 2 / sqrt(pi) of their deviation on average."""
    random = torch.Generator().manual_seed(1)
    varied = 160 * (1 + share * torch.randn(300, generator=random, dtype=torch.float64))
    jitter, _ = perturbation(train(varied, torch.ones(300)), device)
    assert jitter.mean().item() == pytest.approx(2 / math.sqrt(math.pi) * share, rel=0.15)


@pytest.mark.parametrize("factor", [1.01, 1.03, 1.06])
def test_heights_that_grow_by_a_known_factor(factor, device):
    heights = 0.1 * factor ** torch.arange(60, dtype=torch.float64)
    jitter, shimmer = perturbation(train(torch.full((60,), 160.0, dtype=torch.float64), heights), device)
    expected = 20 * math.log10(1 + (factor - 1) / ((factor + 1) / 2))
    assert shimmer[0, 5:-5].median().item() == pytest.approx(expected, rel=0.03)
    assert jitter.median() < 1e-3


def test_a_steady_train_has_no_jitter_and_no_shimmer(device):
    jitter, shimmer = perturbation(train(torch.full((100,), 160.0, dtype=torch.float64), torch.ones(100)), device)
    assert jitter[0, 5:-5].max() < 1e-3
    assert shimmer[0, 5:-5].max() < 0.02


def test_unvoiced_frames_are_zero(device):
    values = jitter_and_shimmer(
        torch.rand(2, 4000, device=device), torch.zeros(2, 19, device=device), hop=HOP, sample_rate=RATE
    )
    assert all((value == 0).all() for value in values)


def test_a_frame_without_a_new_period_repeats_the_last(device):
    """At 60 Hz only six frames of ten begin a period; none of the voiced stretch is left out once it has begun."""
    periods = torch.full((60,), RATE / 60, dtype=torch.float64)
    heights = 0.1 * 1.03 ** torch.arange(60, dtype=torch.float64)
    _, shimmer = perturbation(train(periods, heights), device, hz=60.0)
    assert (shimmer[0, 8:] > 0).all()


def test_neighbours_and_padding_are_ignored(device):
    random = torch.Generator().manual_seed(3)
    row = train(160 * (1 + 0.02 * torch.randn(200, generator=random, dtype=torch.float64)), torch.ones(200))
    n_frames = 2 * PIECE_FRAMES
    alone = jitter_and_shimmer(
        row[None].to(device), torch.full((1, n_frames), 100.0, device=device), hop=HOP, sample_rate=RATE
    )
    batch = torch.rand(3, len(row) + 5000, generator=random)
    batch[1] = torch.nn.functional.pad(row, (0, 5000))
    f0_hz = torch.zeros(3, n_frames + 31, device=device)
    f0_hz[:, :n_frames], f0_hz[0] = 100.0, 237.0
    together = jitter_and_shimmer(batch.to(device), f0_hz, hop=HOP, sample_rate=RATE)
    for one, many in zip(alone, together, strict=True):
        torch.testing.assert_close(many[1, :n_frames], one[0], rtol=0, atol=1e-6)
