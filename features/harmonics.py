"""What a voiced frame's harmonics say: how clean they are, and their levels.

Harmonics-to-noise ratio from the autocorrelation (Boersma, IFA Proceedings 17, 1993); differences of harmonic levels
and the levels at the formants as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import math

import torch
from torch import Tensor

VERSION = "harmonics-1"
HNR_LIMIT = 1e-10  # of the frame's energy, either side: +- 100 dB
REACH = 0.2  # a formant's region, either side, as a share of its frequency; half of F0 at least
HIGHEST_HZ = 5500.0  # harmonics above it are no formant's
MISSING_DB = -201.0  # the level of a formant that no harmonic tells
_FLOOR = 1e-20
_DB = 10 / math.log(10)


def harmonics_to_noise_db(
    power: Tensor,  # (n, bins), of frames of 60 ms, as of f0.harmonic_power
    *,
    sample_rate: int,
    f0_min_hz: float = 55.0,
    f0_max_hz: float = 1000.0,
) -> Tensor:  # (n,)
    """The highest maximum of the autocorrelation between the longest and shortest period, against what is left of 1."""
    shortest, longest = math.floor(sample_rate / f0_max_hz), math.ceil(sample_rate / f0_min_hz)
    correlation: Tensor = torch.fft.irfft(power)[..., : longest + 2]
    correlation = correlation / correlation[..., :1].clamp_min(_FLOOR)
    left, centre, right = (correlation[..., shortest + shift : longest + 1 + shift] for shift in (-1, 0, 1))
    is_peak = (centre > left) & (centre >= right)
    share = torch.where(is_peak, centre, 0.0).amax(-1).clamp(HNR_LIMIT, 1 - 1e-7)
    return _DB * (share / (1 - share)).log()


def levels_db(
    power: Tensor,  # (n, bins), of frames of 60 ms
    f0_hz: Tensor,  # (n,), above 0
    formants_hz: Tensor,  # (n, 3), 0 where there is none
    *,
    sample_rate: int,
) -> tuple[Tensor, Tensor, Tensor]:  # (n,), (n,), (n, 3)
    """H1-H2, H1-A3, and the levels at F1, F2 and F3 relative to F0's, in dB.

    Harmonics are counted as eGeMAPSv02 counts them: F0 itself is H0, so that H1 and H2 lie at twice and three times F0.
    A formant's level is that of the highest harmonic within its REACH; MISSING_DB without a formant.
    """
    per_bin = sample_rate / 2 / (power.shape[-1] - 1)
    power = power[:, : int(HIGHEST_HZ / per_bin)]
    hz = torch.arange(power.shape[-1], device=power.device) * per_bin
    order = torch.arange(1, 4, device=power.device)
    bins = (order * f0_hz[:, None] / per_bin).round().long().clamp(1, power.shape[-1] - 2)
    level = torch.stack([power.gather(-1, bins + shift) for shift in (-1, 0, 1)]).amax(0)
    h0, h1, h2 = (_DB * level.clamp_min(_FLOOR).log()).unbind(-1)
    off = hz - (hz / f0_hz[:, None]).round().clamp_min(1) * f0_hz[:, None]
    of_harmonics = torch.where(off.abs() <= 1.5 * per_bin, power, 0.0)
    at = []
    for formant_hz in formants_hz.unbind(-1):
        reach = torch.maximum(REACH * formant_hz, f0_hz / 2)[:, None]
        near = (hz - formant_hz[:, None]).abs() <= reach
        at.append(_DB * torch.where(near, of_harmonics, 0.0).amax(-1).clamp_min(_FLOOR).log())
    relative = torch.stack(at, dim=-1) - h0[:, None]
    return h1 - h2, h1 - at[2], torch.where(formants_hz > 0, relative, MISSING_DB)
