"""What a voiced frame's harmonics say: how clean they are, and their levels.

Harmonics-to-noise ratio from the autocorrelation (Boersma, IFA Proceedings 17, 1993); differences of harmonic levels
and the levels at the formants as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from features.dsp.spectrum import parabola

VERSION = "harmonics-3"
HNR_LIMIT = 1e-10  # of the frame's energy, either side: +- 100 dB
REACH = 0.2  # a formant's region, either side, as a share of its frequency
STRAY = 0.65  # of F0: how far a harmonic's peak may lie off its place
NEAR = 6  # bins to either side of a harmonic in which its peak is looked for
OFF = 2  # bins that a peak may lie off its harmonic, and still tell a formant's level
LAG_REACH = (0.25, 16.0)  # of the period, and lags on top of that: where the maximum that is closest to it may lie
HIGHEST_HZ = 5500.0  # harmonics above it are no formant's
MISSING_DB = -201.0  # the level of a harmonic without a peak of its own, and of a formant that no harmonic tells
_FLOOR = 1e-20
_DB = 10 / math.log(10)


def harmonics_to_noise_db(
    power: Tensor,  # (n, bins), of frames of 60 ms, as of subharmonics.harmonic_power
    f0_hz: Tensor,  # (n,), above 0; frames of like pitch together take fewer lags
    *,
    sample_rate: int,
) -> Tensor:  # (n,)
    """The autocorrelation's maximum that is closest to the period, against what is left of 1.

    It is looked for within LAG_REACH; where there is none, the autocorrelation at the period itself counts.
    """
    n_lags = power.shape[-1] - 1
    period = (sample_rate / f0_hz).floor().clamp(2, n_lags - 2)
    reach = LAG_REACH[0] * period + LAG_REACH[1]
    first = max(2, int((period - reach).min()))
    last = min(n_lags - 2, int((period + reach).max()))
    from_power = _lags(power.shape[-1], power.device)
    correlation = power @ from_power[:, first - 1 : last + 2]
    left, centre, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    lag = torch.arange(first, last + 1, device=power.device)
    apart = (lag - period[:, None]).abs()
    counts = (centre > left) & (centre >= right) & (apart <= reach[:, None])
    nearest = torch.where(counts, apart, torch.inf).min(-1)  # of two that are as close, the shorter lag
    at = torch.where(nearest.values < torch.inf, nearest.indices, period.long() - first)
    share = centre.gather(-1, at[:, None])[:, 0] / (power @ from_power[:, 0]).clamp_min(_FLOOR)
    share = share.clamp(HNR_LIMIT, 1 - 1e-7)
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
    twice and three times F0; one whose peak strays too far, or is the one before's, has MISSING_DB. A formant's level
    is that of the highest harmonic within REACH; MISSING_DB without one.
    """
    per_bin = sample_rate / 2 / (power.shape[-1] - 1)
    spacing = f0_hz / per_bin
    order = torch.arange(1, 4, device=power.device)
    at = _nearest_peaks(power, order * spacing[:, None])
    h0 = _DB * power.gather(-1, at[:, :1])[:, 0].clamp_min(_FLOOR).log()
    near = (at - order * spacing[:, None]).abs() <= STRAY * spacing[:, None]
    has_h1 = near[:, 1] & (at[:, 1] != at[:, 0])
    has_h2 = near[:, 2] & ~(has_h1 & (at[:, 2] == at[:, 1]))
    above_h0 = _refined_db(power, at[:, 1:]) - h0[:, None]
    h1, h2 = torch.where(torch.stack([has_h1, has_h2], dim=-1), above_h0, MISSING_DB).unbind(-1)
    order = torch.arange(1, 1 + int(HIGHEST_HZ / float(f0_hz.min())), device=power.device)
    place = order * spacing[:, None]
    bins, heights = _peaks_at(power, place)
    formants = []
    for formant in (formants_hz / per_bin).unbind(-1):
        within = ((place - formant[:, None]).abs() <= REACH * formant[:, None]) & (place * per_bin <= HIGHEST_HZ)
        best = torch.where(within, heights, 0.0).max(-1)
        level = _refined_db(power, bins.gather(-1, best.indices[:, None]))[:, 0]
        formants.append(torch.where(best.values > 0, level, MISSING_DB))
    levels = torch.stack(formants, dim=-1)
    relative = torch.where(levels > MISSING_DB, levels - h0[:, None], MISSING_DB)
    return h1 - h2, h1 - relative[:, 2], relative


def _around(power: Tensor, place: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """The bins `reach` below `place` (n, k); the power from there to as far above, and whether it is a maximum."""
    first = place.round().long().clamp(reach + 1, power.shape[-1] - reach - 2) - reach
    windows = power.unfold(-1, 2 * reach + 3, 1)
    around = windows.gather(1, (first - 1)[..., None].expand(-1, -1, windows.shape[-1]))
    here = around[..., 1:-1]
    return first, here, (here > around[..., :-2]) & (here >= around[..., 2:])


def _nearest_peaks(power: Tensor, place: Tensor) -> Tensor:
    """(n, k): the bins of the maxima closest to `place` (n, k), in bins; the bin at hand where none is NEAR."""
    first, _, is_peak = _around(power, place, NEAR)
    nearby = torch.arange(2 * NEAR + 1, device=power.device)
    apart = torch.where(is_peak, (nearby - (place - first)[..., None]).abs(), torch.inf)
    nearest = apart.min(-1)
    return first + torch.where(nearest.values < torch.inf, nearest.indices, NEAR)


def _peaks_at(power: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Bins and power of the highest maximum within OFF of `place` (n, k), in bins; 0 power where there is none."""
    first, here, is_peak = _around(power, place, OFF)
    highest = torch.where(is_peak, here, 0.0).max(-1)
    return first + highest.indices, highest.values


def _refined_db(power: Tensor, at: Tensor) -> Tensor:
    """(n, k) levels of the parabolas through the magnitudes of `power` (n, bins) at bins `at` and beside them."""
    left, centre, right = (power.gather(-1, at + shift).sqrt() for shift in (-1, 0, 1))
    _, height = parabola(left, centre, right)
    return 2 * _DB * height.clamp_min(_FLOOR).log()


@lru_cache(maxsize=8)
def _lags(n_bins: int, device: torch.device) -> Tensor:
    """(n_bins, n_bins - 1): from a power spectrum to its autocorrelation; a few lags cost less than a FFT."""
    n_fft = 2 * (n_bins - 1)
    bins = torch.arange(n_bins, dtype=torch.float64)
    weight = torch.full_like(bins, 2.0 / n_fft)
    weight[0] = weight[-1] = 1.0 / n_fft
    cycles = bins[:, None] * torch.arange(n_bins - 1) / n_fft
    return (weight[:, None] * torch.cos(2 * math.pi * cycles)).float().to(device)
