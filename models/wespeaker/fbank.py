"""Kaldi's filter bank in torch: log energies of 80 mel bands, 25 ms every 10 ms, less each band's mean.

As `compute-fbank-feats` of Kaldi (Povey et al., ASRU 2011) with a Hamming window, no dither, no energy, and frames
that lie wholly in the signal; samples are scaled to the range of 16-bit integers.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE = 16_000
FRAME, HOP = 400, 160  # samples
_N_FFT = 512
_PRE_EMPHASIS = 0.97
_LOWEST_HZ = 20.0
_FULL_SCALE = 32_768.0
_FLOOR = 1.1920928955078125e-07  # of an energy, before the logarithm: float32's epsilon


def n_frames(lengths: Tensor) -> Tensor:
    """Return the number of frames in signals of `lengths` samples, each at least `FRAME`."""
    return (lengths - FRAME) // HOP + 1


def kaldi_fbank(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz; time at least `FRAME`
    lengths: Tensor,  # (batch,), valid samples, each at least `FRAME`
    n_bands: int = 80,
) -> Tensor:  # (batch, frames, n_bands), zero beyond each row's end
    """Return log energies of mel bands, less each band's mean over the row's frames."""
    frames = waveform.unfold(1, FRAME, HOP) * _FULL_SCALE
    frames = frames - frames.mean(2, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
    windowed = (frames - _PRE_EMPHASIS * before) * _hamming(waveform.device)
    power = torch.fft.rfft(windowed, n=_N_FFT).abs().square()
    bands = (power @ _filters(n_bands, waveform.device)).clamp_min(_FLOOR).log()
    n = n_frames(lengths)
    is_valid = (torch.arange(bands.shape[1], device=bands.device) < n[:, None])[:, :, None]
    mean = torch.where(is_valid, bands, 0.0).sum(1, keepdim=True) / n[:, None, None]
    return torch.where(is_valid, bands - mean, 0.0)


@functools.cache
def _hamming(device: torch.device) -> Tensor:
    return torch.hamming_window(FRAME, periodic=False, device=device)


@functools.cache
def _filters(n_bands: int, device: torch.device) -> Tensor:  # (bins, n_bands)
    """Return triangles that are straight on Kaldi's mel scale, 1127 ln(1 + f / 700), from 20 Hz to half the rate."""
    low, high = (1127.0 * math.log(1.0 + hz / 700.0) for hz in (_LOWEST_HZ, SAMPLE_RATE / 2))
    edges = np.linspace(low, high, n_bands + 2)
    bins = 1127.0 * np.log1p(np.arange(_N_FFT // 2 + 1) * (SAMPLE_RATE / _N_FFT) / 700.0)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.maximum(np.minimum(rising, falling), 0.0).astype(np.float32)).to(device)
