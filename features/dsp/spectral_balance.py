"""Spectral balance: the distribution of a frame's energy over frequency, and its change (ratios, slopes, flux).

Alpha ratio and spectral slopes as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016); Hammarberg
index after Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice qualities", 1980.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

VERSION = "balance-1"
FLOOR = 1e-14  # of power in a bin: far below that of rounding to 16 bits
NAMES = ("alpha_ratio_db", "hammarberg_db", "slope_0_500", "slope_500_1500", "flux")
_FLUX_MAX_HZ = 5000
_DB = 10 / math.log(10)  # a natural logarithm of power in decibels


def spectral_balance(
    power: Tensor,  # (batch, frames, bins), of consecutive frames of 20 ms under a Hamming window
    *,
    sample_rate: int,
) -> Tensor:  # (batch, frames, len(NAMES)), float32
    """Compute each frame's spectral balance; in digital silence 0, and the slopes 0.112 and 0.076, which follow FLOOR.

    - alpha ratio: energy of 1 to 5 kHz over that below 1 kHz, in dB;
    - Hammarberg index: the highest peak below 2 kHz over that of 2 to 5 kHz, in dB;
    - slopes: least-squares lines through the spectrum in dB, 0 to 500 and 500 to 1500 Hz, in dB/Hz;
    - flux: root mean square over the bins up to 5 kHz of the magnitudes' change; 0 in the first frame.
    """
    n_bins = power.shape[-1]
    bands, slopes, (at_2k, at_5k) = _projections(n_bins, sample_rate, power.device)
    sound = power.amax(-1) > FLOOR
    low, high = (power[..., : len(bands)] @ bands).clamp_min(FLOOR).unbind(-1)
    in_db = _DB * power[..., : len(slopes)].clamp_min(FLOOR).log()
    slope_0_500, slope_500_1500 = (in_db @ slopes).unbind(-1)
    below_2k = power[..., :at_2k].amax(-1).clamp_min(FLOOR)
    below_5k = power[..., at_2k:at_5k].amax(-1).clamp_min(FLOOR)
    magnitude = power[..., :at_5k].sqrt()
    change = (magnitude[:, 1:] - magnitude[:, :-1]).square().mean(-1).sqrt()
    flux = torch.nn.functional.pad(change, (1, 0))
    alpha_ratio = torch.where(sound, _DB * (high / low).log(), 0.0)
    hammarberg = torch.where(sound, _DB * (below_2k / below_5k).log(), 0.0)
    return torch.stack([alpha_ratio, hammarberg, slope_0_500, slope_500_1500, flux], dim=-1)


@lru_cache(maxsize=16)
def _projections(n_bins: int, sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Make the two bands (linear in power) and slopes (linear in dB) as matrices, and the bins of 2 and 5 kHz."""
    hz = torch.linspace(0, sample_rate / 2, n_bins, dtype=torch.float64)
    width = float(hz[1])
    at_1k, at_2k, at_5k = (int(edge / width) for edge in (1000, 2000, 5000))
    bands = torch.zeros(at_5k + 1, 2)
    bands[:at_1k, 0] = 1
    bands[at_1k:, 1] = 1
    slopes = torch.zeros(int(1500 / width) + 1, 2, dtype=torch.float64)
    for column, (low_hz, high_hz) in enumerate(((0, 500), (500, 1500))):
        first, last = int(low_hz / width), int(high_hz / width)
        band_hz = hz[first : last + 1]
        n = last - first  # eGeMAPSv02 counts the steps and not the bins, so that the level changes the slope a little
        total = band_hz.sum()
        slopes[first : last + 1, column] = (n * band_hz - total) / (n * band_hz.square().sum() - total**2)
    return bands.to(device), slopes.float().to(device), (at_2k, at_5k + 1)
