"""Harmonics of voiced frames: the harmonics-to-noise ratio, and levels of single harmonics.

Harmonics-to-noise ratio from the autocorrelation (Boersma, IFA Proceedings 17, 1993); differences of harmonic levels
and the levels at the formants as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from features.dsp.spectrum import parabola_peak

VERSION = "harmonics-3"
HNR_LIMIT = 1e-10  # of the frame's energy, either side: +- 100 dB
FORMANT_REACH = 0.2  # a formant's region, either side, as a share of its frequency
MAX_STRAY = 0.65  # of F0: distance of a harmonic's peak from its place
PEAK_SEARCH_BINS = 6  # to either side of a harmonic, in which its peak is looked for
MAX_PEAK_OFFSET_BINS = 2  # of a peak from its harmonic, to count for a formant's level
LAG_REACH = (0.25, 16.0)  # a share of the period, plus lags: the maximum is looked for so far from the period
MAX_HARMONIC_HZ = 5500.0  # higher harmonics do not count for formants
MISSING_DB = -201.0  # the level of a harmonic without a peak, and of a formant without a harmonic
_FLOOR = 1e-20
_DB = 10 / math.log(10)


def harmonics_to_noise_db(
    power: Tensor,  # (n, bins), of frames of 60 ms, as of subharmonics.harmonic_power
    f0_hz: Tensor,  # (n,), above 0; frames of similar pitch together need fewer lags
    *,
    sample_rate: int,
) -> Tensor:  # (n,)
    """Return the ratio of r to 1 - r in dB, where r is the autocorrelation's maximum that is closest to the period.

    The maximum is looked for within LAG_REACH; where there is none, r is the autocorrelation at the period itself.
    """
    n_lags = power.shape[-1] - 1
    period = (sample_rate / f0_hz).floor().clamp(2, n_lags - 2)
    reach = LAG_REACH[0] * period + LAG_REACH[1]
    first = max(2, int((period - reach).min()))
    last = min(n_lags - 2, int((period + reach).max()))
    from_power = _power_to_autocorrelation(power.shape[-1], power.device)
    correlation = power @ from_power[:, first - 1 : last + 2]
    left, centre, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    lag = torch.arange(first, last + 1, device=power.device)
    distance = (lag - period[:, None]).abs()
    counts = (centre > left) & (centre >= right) & (distance <= reach[:, None])
    nearest = torch.where(counts, distance, torch.inf).min(-1)  # of two equally close ones, the shorter lag
    index = torch.where(nearest.values < torch.inf, nearest.indices, period.long() - first)
    share = centre.gather(-1, index[:, None])[:, 0] / (power @ from_power[:, 0]).clamp_min(_FLOOR)
    share = share.clamp(HNR_LIMIT, 1 - 1e-7)
    return _DB * (share / (1 - share)).log()


def harmonic_levels_db(
    power: Tensor,  # (n, bins), of frames of 60 ms
    f0_hz: Tensor,  # (n,), above 0
    formants_hz: Tensor,  # (n, 3), 0 where there is none
    *,
    sample_rate: int,
) -> tuple[Tensor, Tensor, Tensor]:  # (n,), (n,), (n, 3)
    """Return H1-H2, H1-A3, and the levels at F1, F2 and F3 relative to F0's, in dB.

    A harmonic's level is that of the spectrum's peak closest to it, of a parabola through the magnitudes around; F0's
    is the magnitude itself. Harmonics are counted as eGeMAPSv02 counts them: F0 itself is H0, so that H1 and H2 lie at
    twice and three times F0; one whose peak strays too far, or is that of the harmonic before, has MISSING_DB. A
    formant's level is that of the highest harmonic within FORMANT_REACH; MISSING_DB without one.
    """
    per_bin = sample_rate / 2 / (power.shape[-1] - 1)
    spacing = f0_hz / per_bin
    order = torch.arange(1, 4, device=power.device)
    peaks = _nearest_peaks(power, order * spacing[:, None])
    h0 = _DB * power.gather(-1, peaks[:, :1])[:, 0].clamp_min(_FLOOR).log()
    near = (peaks - order * spacing[:, None]).abs() <= MAX_STRAY * spacing[:, None]
    has_h1 = near[:, 1] & (peaks[:, 1] != peaks[:, 0])
    has_h2 = near[:, 2] & ~(has_h1 & (peaks[:, 2] == peaks[:, 1]))
    above_h0 = _refined_db(power, peaks[:, 1:]) - h0[:, None]
    h1, h2 = torch.where(torch.stack([has_h1, has_h2], dim=-1), above_h0, MISSING_DB).unbind(-1)
    order = torch.arange(1, 1 + int(MAX_HARMONIC_HZ / float(f0_hz.min())), device=power.device)
    place = order * spacing[:, None]
    bins, heights = _peaks_at(power, place)
    formants = []
    for formant in (formants_hz / per_bin).unbind(-1):
        in_region = ((place - formant[:, None]).abs() <= FORMANT_REACH * formant[:, None]) & (
            place * per_bin <= MAX_HARMONIC_HZ
        )
        best = torch.where(in_region, heights, 0.0).max(-1)
        level = _refined_db(power, bins.gather(-1, best.indices[:, None]))[:, 0]
        formants.append(torch.where(best.values > 0, level, MISSING_DB))
    levels = torch.stack(formants, dim=-1)
    relative = torch.where(levels > MISSING_DB, levels - h0[:, None], MISSING_DB)
    return h1 - h2, h1 - relative[:, 2], relative


def _bins_around(power: Tensor, place: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the bins `reach` below `place` (n, k), the power from there to as far above, and where that has maxima."""
    first = place.round().long().clamp(reach + 1, power.shape[-1] - reach - 2) - reach
    windows = power.unfold(-1, 2 * reach + 3, 1)
    around = windows.gather(1, (first - 1)[..., None].expand(-1, -1, windows.shape[-1]))
    here = around[..., 1:-1]
    return first, here, (here > around[..., :-2]) & (here >= around[..., 2:])


def _nearest_peaks(power: Tensor, place: Tensor) -> Tensor:
    """Find the maxima closest to `place` (n, k), in bins: (n, k); `place`'s own bin if none is in PEAK_SEARCH_BINS."""
    first, _, is_peak = _bins_around(power, place, PEAK_SEARCH_BINS)
    nearby = torch.arange(2 * PEAK_SEARCH_BINS + 1, device=power.device)
    distance = torch.where(is_peak, (nearby - (place - first)[..., None]).abs(), torch.inf)
    nearest = distance.min(-1)
    return first + torch.where(nearest.values < torch.inf, nearest.indices, PEAK_SEARCH_BINS)


def _peaks_at(power: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return bin and power of the highest maximum within MAX_PEAK_OFFSET_BINS of `place` (n, k); power 0 if none."""
    first, here, is_peak = _bins_around(power, place, MAX_PEAK_OFFSET_BINS)
    highest = torch.where(is_peak, here, 0.0).max(-1)
    return first + highest.indices, highest.values


def _refined_db(power: Tensor, bins: Tensor) -> Tensor:
    """Return levels (n, k) of the parabolas through the magnitudes of `power` (n, bins) at `bins` and beside them."""
    left, centre, right = (power.gather(-1, bins + shift).sqrt() for shift in (-1, 0, 1))
    _, height = parabola_peak(left, centre, right)
    return 2 * _DB * height.clamp_min(_FLOOR).log()


@lru_cache(maxsize=8)
def _power_to_autocorrelation(n_bins: int, device: torch.device) -> Tensor:
    """Make the matrix (n_bins, n_bins - 1) from a power spectrum to its autocorrelation.

    For a few lags it costs less than an FFT.
    """
    n_fft = 2 * (n_bins - 1)
    bins = torch.arange(n_bins, dtype=torch.float64)
    weight = torch.full_like(bins, 2.0 / n_fft)
    weight[0] = weight[-1] = 1.0 / n_fft
    cycles = bins[:, None] * torch.arange(n_bins - 1) / n_fft
    return (weight[:, None] * torch.cos(2 * math.pi * cycles)).float().to(device)
