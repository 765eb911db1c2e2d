"""Auditory descriptors of a frame's spectrum: loudness and the first cepstra, from 26 mel bands.

Loudness sums the bands of an auditory spectrum, equal-loudness weighted and compressed by the ear's cube root
(Hermansky, "Perceptual linear predictive analysis of speech", J. Acoust. Soc. Am. 87(4), 1990). Bands, weights and
liftering as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016); mel as 1127 ln(1 + f / 700).
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from features.dsp.mel import dct_basis, triangular_filters

VERSION = "auditory-2"
N_BANDS = 26
MIN_HZ, MAX_HZ = 20.0, 8000.0
COMPRESSION = 0.33
LOUDNESS_SCALE = 5.155e27  # makes speech near full scale come out at about 1, as eGeMAPSv02 has it
N_MFCC, LIFTER = 4, 22
FLOOR = 2.0**-30  # of a band's power before its logarithm is taken: one step of 16 bits


def loudness_and_mfcc(
    power: Tensor,  # (..., bins), of frames of 20 ms under a Hamming window
    *,
    sample_rate: int,
) -> tuple[Tensor, Tensor]:  # (...), (..., N_MFCC)
    """Compute perceived loudness, without a unit, and MFCC 1 to 4, liftered; both are 0 in silence.

    `power` is scaled as that of 320 samples in 512 bins at 16 kHz.
    """
    n_bins = power.shape[-1]
    bands = power @ _bands(n_bins, sample_rate, power.device)
    loudness = (bands * _equal_loudness(power.device)).pow(COMPRESSION).sum(-1)
    return loudness, bands.clamp_min(FLOOR).log() @ _cepstra(power.device)


def _edges_mel() -> np.ndarray:
    return np.linspace(_mel(np.array(MIN_HZ)), _mel(np.array(MAX_HZ)), N_BANDS + 2)


def _mel(hz: np.ndarray) -> np.ndarray:
    return 1127 * np.log1p(hz / 700)


@lru_cache(maxsize=16)
def _bands(n_bins: int, sample_rate: int, device: torch.device) -> Tensor:
    bins_mel = _mel(np.linspace(0, sample_rate / 2, n_bins))[:, None]
    filters = triangular_filters(bins_mel, _edges_mel())
    filters[:2] = 0  # a constant offset leaks into these bins
    return torch.from_numpy(filters.astype(np.float32)).to(device)


@lru_cache(maxsize=16)
def _equal_loudness(device: torch.device) -> Tensor:
    """Compute the ear's sensitivity at 40 phon at each band's centre (Hermansky, 1990, eq. 6).

    The slope at high frequencies is that of eGeMAPSv02, fitted to its loudness over these bands by least squares: 21 dB
    an octave from 4.6 kHz on, where Hermansky has 18 dB from 5 kHz on.
    """
    w = 2 * math.pi * 700 * np.expm1(_edges_mel()[1:-1] / 1127)
    curve = (w**2 + 56.8e6) * w**4 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9) * (w**7 + 1.7e31))
    return torch.from_numpy((LOUDNESS_SCALE * curve).astype(np.float32)).to(device)


@lru_cache(maxsize=16)
def _cepstra(device: torch.device) -> Tensor:
    """Make DCT-II and lifter as one matrix, (N_BANDS, N_MFCC), for coefficients 1 to N_MFCC."""
    order = torch.arange(1, N_MFCC + 1, device=device)
    lifter = 1 + LIFTER / 2 * torch.sin(math.pi * order / LIFTER)
    return dct_basis(N_BANDS, N_MFCC + 1, device)[:, 1:] * lifter
