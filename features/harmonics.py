"""What a voiced frame's harmonics say: how clean they are, and their levels.

Harmonics-to-noise ratio from the autocorrelation (Boersma, IFA Proceedings 17, 1993); differences of harmonic levels
and the levels at the formants as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

VERSION = "harmonics-2"
HNR_LIMIT = 1e-10  # of the frame's energy, either side: +- 100 dB
REACH = 0.2  # a formant's region, either side, as a share of its frequency
NEAR = 6  # bins to either side of a harmonic in which its peak is looked for
OFF = 2.0  # bins that a peak may lie off its harmonic, and still tell a formant's level
HIGHEST_HZ = 5500.0  # harmonics above it are no formant's
MISSING_DB = -201.0  # the level of a formant that no harmonic tells
_FLOOR = 1e-20
_DB = 10 / math.log(10)


def harmonics_to_noise_db(
    power: Tensor,  # (n, bins), of frames of 60 ms, as of f0.harmonic_power
    f0_hz: Tensor,  # (n,), above 0
    *,
    sample_rate: int,
    f0_min_hz: float = 55.0,
) -> Tensor:  # (n,)
    """The autocorrelation's maximum that is closest to the period, against what is left of 1."""
    longest = math.ceil(sample_rate / f0_min_hz)
    correlation = power @ _lags(power.shape[-1], longest + 2 + longest // 4, power.device)
    left, centre, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    period = (sample_rate / f0_hz).floor()
    lag = torch.arange(1, correlation.shape[1] - 1, device=power.device)
    apart = (lag - period[:, None] + 0.25).abs()  # of two that are as close, the shorter lag
    apart = torch.where((centre > left) & (centre >= right), apart, torch.inf)
    nearest = apart.min(-1)
    share = centre.gather(-1, nearest.indices[:, None])[:, 0] / correlation[:, 0].clamp_min(_FLOOR)
    share = torch.where(nearest.values < torch.inf, share, 0.0).clamp(HNR_LIMIT, 1 - 1e-7)
    return _DB * (share / (1 - share)).log()


def levels_db(
    power: Tensor,  # (n, bins), of frames of 60 ms
    f0_hz: Tensor,  # (n,), above 0
    formants_hz: Tensor,  # (n, 3), 0 where there is none
    *,
    sample_rate: int,
) -> tuple[Tensor, Tensor, Tensor]:  # (n,), (n,), (n, 3)
    """H1-H2, H1-A3, and the levels at F1, F2 and F3 relative to F0's, in dB.

    A harmonic's level is that of the spectrum's peak closest to it, a parabola's through the magnitudes around; F0's is
    the magnitude itself. Harmonics are counted as eGeMAPSv02 counts them: F0 itself is H0, so that H1 and H2 lie at
    twice and three times F0. A formant's level is that of the highest harmonic within REACH; MISSING_DB without one.
    """
    per_bin = sample_rate / 2 / (power.shape[-1] - 1)
    magnitude = power[:, : int(HIGHEST_HZ / per_bin)].sqrt()
    middle, is_peak = magnitude[:, 1:-1], torch.zeros_like(magnitude, dtype=torch.bool)
    torch.logical_and(middle > magnitude[:, :-2], middle >= magnitude[:, 2:], out=is_peak[:, 1:-1])
    spacing = f0_hz[:, None] / per_bin
    order = torch.arange(1, 4, device=power.device)
    at = _nearest_peaks(is_peak, order * spacing)
    h1, h2 = _refined_db(magnitude, at[:, 1:]).unbind(-1)
    h0 = 2 * _DB * magnitude.gather(-1, at[:, :1])[:, 0].clamp_min(_FLOOR).log()
    place = torch.arange(magnitude.shape[-1], device=power.device)
    harmonic = (place / spacing).round().clamp_min(1) * spacing
    peaks = torch.where(is_peak & ((place - harmonic).abs() <= OFF), magnitude, 0.0)
    formants = []
    for formant in (formants_hz / per_bin).unbind(-1):
        within = (harmonic - formant[:, None]).abs() <= REACH * formant[:, None]
        best = torch.where(within, peaks, 0.0).max(-1)
        level = _refined_db(magnitude, best.indices[:, None].clamp(1, magnitude.shape[-1] - 2))[:, 0]
        formants.append(torch.where(best.values > 0, level, MISSING_DB))
    levels = torch.stack(formants, dim=-1)
    relative = torch.where(levels > MISSING_DB, levels - h0[:, None], MISSING_DB)
    return h1 - h2, h1 - levels[:, 2], relative


def _nearest_peaks(is_peak: Tensor, places: Tensor) -> Tensor:
    """(n, k): the bins of the peaks closest to `places` (n, k), in bins; the bins at hand where none is NEAR."""
    nearby = torch.arange(-NEAR, NEAR + 1, device=places.device)
    bins = places[..., None].round().long() + nearby
    inside = bins.clamp(1, is_peak.shape[-1] - 2)
    peak = is_peak.gather(-1, inside.flatten(1)).view(bins.shape)
    apart = torch.where(peak, (inside - places[..., None]).abs(), torch.inf)
    nearest = apart.min(-1, keepdim=True)
    nearest = torch.where(nearest.values < torch.inf, nearest.indices, NEAR)
    return inside.gather(-1, nearest)[..., 0]


def _refined_db(magnitude: Tensor, at: Tensor) -> Tensor:
    """(n, k) levels of the parabolas through `magnitude` (n, bins) at bins `at` (n, k) and those to either side."""
    left, centre, right = (magnitude.gather(-1, at + shift) for shift in (-1, 0, 1))
    bend = (2 * centre - left - right).clamp_min(_FLOOR)
    shift = (0.5 * (right - left) / bend).clamp(-0.5, 0.5)
    return 2 * _DB * (centre + 0.25 * (right - left) * shift).clamp_min(_FLOOR).log()


@lru_cache(maxsize=8)
def _lags(n_bins: int, n_lags: int, device: torch.device) -> Tensor:
    """(n_bins, n_lags): from a power spectrum to its autocorrelation at lags from 0 on; these are fewer than all."""
    n_fft = 2 * (n_bins - 1)
    bins = torch.arange(n_bins, dtype=torch.float64)
    weight = torch.full_like(bins, 2.0 / n_fft)
    weight[0] = weight[-1] = 1.0 / n_fft
    cycles = bins[:, None] * torch.arange(min(n_lags, n_fft // 2)) / n_fft
    return (weight[:, None] * torch.cos(2 * math.pi * cycles)).float().to(device)
