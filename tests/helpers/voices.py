"""Synthetic voices as tensors, and their padded batches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from features.dsp.gemaps import EGEMAPS_NAMES, egemaps
from helpers.sound import RATE, white_noise


def harmonic_voice(
    f0_hz: Tensor | Sequence[float],  # (time,)
) -> Tensor:  # (time,)
    """Make a voice of eleven harmonics from its F0 at each sample."""
    phase = 2 * torch.pi * torch.cumsum(torch.as_tensor(f0_hz, dtype=torch.float64) / RATE, 0)
    harmonics = [torch.sin(k * phase) / k for k in range(1, 12)]
    return 0.15 * sum(harmonics[1:], harmonics[0]).float()


def babble(n: int = 2 * RATE) -> Tensor:  # (n,)
    """Make a voice that glides and swells, with breath and pauses."""
    time_s = torch.arange(n) / RATE
    voice = harmonic_voice(170 + 40 * torch.sin(2 * torch.pi * 1.3 * time_s)) * (0.6 - 0.4 * torch.cos(23 * time_s))
    waveform = voice * (torch.sin(2 * torch.pi * 2.1 * time_s) > -0.3) + white_noise(n, level=0.003)
    return torch.where(torch.sin(2 * torch.pi * 0.9 * time_s + 1) > -0.8, waveform, 0.0)


def pad(
    waveforms: Sequence[Tensor],
    device: torch.device | str = "cpu",
    *,
    spare: int = 0,
    filling: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Stack waveforms as (batch, time), `spare` samples longer than the longest, and return the lengths too."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    batch = torch.full((len(waveforms), int(lengths.max()) + spare), filling)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch.to(device), lengths.to(device)


def egemaps_row(waveform: Tensor, **options: Any) -> dict[str, float]:
    """Compute the eGeMAPS functionals of a (time,) waveform by name."""
    values = egemaps(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)
    return dict(zip(EGEMAPS_NAMES, values[0].tolist(), strict=True))
