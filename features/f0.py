"""The voice's fundamental frequency: subharmonic summation, then the best path through the frames' candidates.

Hermes, "Measurement of pitch by subharmonic summation", J. Acoust. Soc. Am. 83(1), 1988: the spectrum's peaks on a
logarithmic axis, shifted by each harmonic's interval, added with a falling weight; the sum's maxima are the candidates.
Frames, range and voicing threshold as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features import frames, spectrum, viterbi
from features.spectrum import gauss, power_of

VERSION = "f0-2"
FRAME_S = 0.060
SIGMA = 0.4  # of the Gaussian taper, in half frames
AXIS_MIN_HZ = 25.0  # where the logarithmic axis begins; it ends at half the sample rate
N_HARMONICS, HARMONIC_DECAY = 15, 0.85
N_CANDIDATES = 3
_NEVER = 1e3  # what a candidate costs that is none
VOICING_THRESHOLD = 0.701
KUP, KDN, CUP, CDN = 0.0, 0.0, 9.0, 9.0
FREE, QCOST, QCOST2 = 0, 0.0, 0.0
DOUBT, PERIODIC = 0.35, 0.97  # many strong harmonics make a flat sum: where the period itself is looked at

# What a path pays, in changes of voicing between two frames:
VOICED_BELOW, UNVOICED_ABOVE = 0.75, 0.85  # a frame that the threshold would have had otherwise
WEAKER = 40.0  # a candidate, for each unit of strength below the frame's best
JUMP, DEAREST_JUMP = 3.5, 0.3  # an octave between two frames; octaves from which on a jump costs no more
QUIET_DB = -60.0  # root mean square of the tapered frame, against full scale: below it nothing is voiced


class F0Track(NamedTuple):
    """What `f0_track` finds, both (batch, frames) float32."""

    f0_hz: Tensor  # 0 where unvoiced
    voicing: Tensor  # in [0, 1]: how far the best sum of harmonics stands out from the mean


class Candidates(NamedTuple):
    """Maxima of the subharmonic sum, (batch, frames, N_CANDIDATES), the strongest first."""

    f0_hz: Tensor
    strength: Tensor  # in [0, 1]; -1 where there was no further maximum


class F0Range(NamedTuple):
    """Where F0 is looked for, in Hz."""

    min_hz: float = 55.0
    max_hz: float = 1000.0


EGEMAPS_RANGE = F0Range()


def f0_track(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    f0_min_hz: float = 55.0,
    f0_max_hz: float = 1000.0,
    hop_s: float = 0.010,
) -> F0Track:
    """F0 in Hz within [f0_min_hz, f0_max_hz], 0 where unvoiced, and voicing in [0, 1], for frames of 60 ms.

    The frame that starts at sample `t * hop` is column `t`; frames beyond a row's own are 0 and 0, and so are silence
    and a constant. Raises UsageError when the range is empty, begins below 30 Hz or ends beyond a quarter of the sample
    rate, or the shapes do not fit.
    """
    within = F0Range(f0_min_hz, f0_max_hz)
    check_range(within, sample_rate)
    window, hop = frames.samples(FRAME_S, sample_rate), frames.samples(hop_s, sample_rate)
    waveform = frames.silence_padding(frames.finite(waveform), lengths)
    waveform = torch.nn.functional.pad(waveform, (0, max(0, window - waveform.shape[1])))
    width = frames.room(waveform.shape[1], window=window, hop=hop)
    valid = frames.mask(frames.count(lengths, window=window, hop=hop), width)
    return track_of(waveform, valid, hop=hop, sample_rate=sample_rate, within=within)


def check_range(within: F0Range, sample_rate: int) -> None:
    """Raises UsageError unless the range lies between 30 Hz and a quarter of the sample rate and spans some steps."""
    if not (within.min_hz >= 30 and 1.1 * within.min_hz <= within.max_hz <= sample_rate / 4):
        raise UsageError(
            f"expected f0_min_hz of at least 30 Hz, and f0_max_hz from 1.1 times that to {sample_rate / 4:g} Hz, "
            f"found {within.min_hz:g} to {within.max_hz:g}: change the F0 range"
        )


def track_of(
    waveform: Tensor,  # (batch, time), zero beyond each row's length, at least one frame long
    valid: Tensor,  # (batch, frames) bool: each row's own frames
    *,
    hop: int,
    sample_rate: int,
    within: F0Range = EGEMAPS_RANGE,
    spectra: list[Tensor] | None = None,
) -> F0Track:
    """The same of a waveform that is prepared, a stretch of frames at a time; the spectra go to `spectra`, if given."""
    window = frames.samples(FRAME_S, sample_rate)
    found = []
    for stretch in spectrum.stretches(waveform, window=window, hop=hop):
        power = harmonic_power(frames.split(stretch, window=window, hop=hop), sample_rate=sample_rate)
        found.append(candidates(power, sample_rate=sample_rate, within=within))
        if spectra is not None:
            spectra.append(power)
    return best_track(Candidates(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True))), valid)


def fft_size(sample_rate: int) -> int:
    """The power of two that a frame of FRAME_S fits into."""
    return spectrum.fft_size(frames.samples(FRAME_S, sample_rate))


def steps_per_octave(sample_rate: int) -> float:
    """Of the logarithmic axis, which has as many points as the spectrum bins."""
    return fft_size(sample_rate) / 2 / math.log2(sample_rate / 2 / AXIS_MIN_HZ)


def harmonic_power(
    cut: Tensor,  # (..., window): frames of FRAME_S
    *,
    sample_rate: int,
) -> Tensor:  # (..., fft_size // 2 + 1)
    """The power spectrum of the frames, each less its mean, under the Gaussian taper."""
    centred = cut - cut.mean(-1, keepdim=True)
    return power_of(centred.mul_(gauss(cut.shape[-1], SIGMA, cut.device)), n_fft=fft_size(sample_rate))


def candidates(
    power: Tensor,  # (batch, frames, fft_size // 2 + 1), as of harmonic_power
    *,
    sample_rate: int,
    within: F0Range = EGEMAPS_RANGE,
) -> Candidates:
    """The N_CANDIDATES strongest maxima of the subharmonic sum, refined by a parabola on the logarithmic axis.

    A candidate's strength is 1 less the ratio of the sum's mean to its height (Eyben et al., 2016); frames quieter than
    QUIET_DB have no candidates.
    """
    summation, log2_hz = _summation(sample_rate, within, power.device)
    sums = _peaks_only(power).sqrt() @ summation
    mean, sums = sums[..., :1], sums[..., 1:]
    left, centre, right = sums[..., :-2], sums[..., 1:-1], sums[..., 2:]
    is_peak = (centre > left) & (centre >= right) & (centre > 0)
    best = torch.where(is_peak, centre, 0.0).topk(N_CANDIDATES, dim=-1)
    left, right = sums.gather(-1, best.indices), sums.gather(-1, best.indices + 2)
    bend = (2 * best.values - left - right).clamp_min(1e-20)
    shift = (0.5 * (right - left) / bend).clamp(-0.5, 0.5)
    height = best.values + 0.25 * (right - left) * shift
    strength = (1 - mean / height.clamp_min(1e-20)).clamp(0, 1)
    energy = 2 * power.sum(-1, keepdim=True) / (fft_size(sample_rate) * frames.samples(FRAME_S, sample_rate))
    strength = torch.where((best.values > 0) & (energy >= 10 ** (QUIET_DB / 10)), strength, -1.0)
    octave = log2_hz[best.indices] + shift / steps_per_octave(sample_rate)
    f0_hz = octave.exp2().clamp(within.min_hz, within.max_hz)
    in_doubt = ((strength[..., 0] > DOUBT) & (strength[..., 0] < VOICING_THRESHOLD)).nonzero(as_tuple=True)
    periodicity = _periodicity(power[in_doubt], f0_hz[in_doubt], sample_rate=sample_rate)
    strength[in_doubt] = torch.where(periodicity >= PERIODIC, periodicity.clamp_max(1), strength[in_doubt])
    return Candidates(f0_hz, strength)


def _periodicity(power: Tensor, f0_hz: Tensor, *, sample_rate: int) -> Tensor:
    """The share of the energy of frames (n, bins) that repeats with each period 1 / f0_hz, (n, k) (Boersma, 1993)."""
    if len(power) == 0:
        return torch.zeros_like(f0_hz)
    lag = sample_rate / f0_hz
    whole = lag.long()
    taper = gauss(frames.samples(FRAME_S, sample_rate), SIGMA, power.device)
    own: Tensor = torch.fft.irfft(power_of(taper, n_fft=fft_size(sample_rate)))
    correlation: Tensor = torch.fft.irfft(power)
    here, next_to_it = (
        correlation.gather(-1, at) / correlation[:, :1].clamp_min(1e-20) * (own[0] / own[at])
        for at in (whole, whole + 1)
    )
    return torch.lerp(here, next_to_it, lag - whole)


def best_track(
    found: Candidates,
    valid: Tensor,  # (batch, frames) bool
) -> F0Track:
    """The cheapest way through the candidates and the state `unvoiced`."""
    octaves = found.f0_hz.log2()
    best = found.strength[..., :1]
    above = best >= VOICING_THRESHOLD
    if KUP:
        x = best - VOICING_THRESHOLD
        v = torch.where(x > 0, 0.0, -(VOICED_BELOW + KDN * -x).clamp_max(CDN))
        u = torch.where(x > 0, -(UNVOICED_ABOVE + KUP * x).clamp_max(CUP), 0.0)
    else:
        v, u = torch.where(above, 0.0, -VOICED_BELOW), torch.where(above, -UNVOICED_ABOVE, 0.0)
    merit = v - WEAKER * (best - found.strength)
    merit = torch.where(found.strength < 0, -_NEVER, merit)
    merit = torch.cat([merit, u], dim=-1)

    def jump_cost(first: int, last: int) -> Tensor:
        before = octaves[:, max(0, first - 1) : last - 1]
        before = torch.nn.functional.pad(before, (0, 0, last - first - before.shape[1], 0))  # frame 0 has none before
        jump = (before[..., :, None] - octaves[:, first:last, None, :]).abs()
        cost = torch.nn.functional.pad(JUMP * jump.clamp_max(DEAREST_JUMP), (0, 1, 0, 1), value=1.0)
        cost[..., -1, -1] = 0.0
        quiet = found.strength[..., 0] < 0
        if FREE & 1:
            cost[..., :-1, -1] = torch.where(quiet[:, first:last, None], QCOST, 1.0)
        if FREE & 2:
            prev = torch.nn.functional.pad(quiet[:, max(0, first - 1) : last - 1], (last-first-quiet[:, max(0, first - 1) : last - 1].shape[1], 0))
            cost[..., -1, :-1] = torch.where(prev[..., None], QCOST2, 1.0)
        return cost

    path = viterbi.best_path(merit, jump_cost, valid)
    voiced = valid & (path < N_CANDIDATES)
    chosen = path.clamp_max(N_CANDIDATES - 1)[..., None]
    f0_hz = torch.where(voiced, found.f0_hz.gather(-1, chosen)[..., 0], 0.0)
    strength = torch.where(voiced, found.strength.gather(-1, chosen)[..., 0], found.strength[..., 0])
    return F0Track(f0_hz, torch.where(valid, strength.clamp_min(0), 0.0))


def _peaks_only(power: Tensor) -> Tensor:
    """The spectrum where it is within two bins of a local maximum, and 0 between.

    Rows are laid end to end, which is several times as fast; the maxima of three bins at either end are left out, so
    that no row reaches into the next.
    """
    line = power.reshape(-1)
    is_peak = torch.zeros_like(line, dtype=torch.bool)
    torch.logical_and(line[1:-1] > line[:-2], line[1:-1] >= line[2:], out=is_peak[1:-1])
    by_row = is_peak.view(power.shape)
    by_row[..., :3], by_row[..., -3:] = False, False
    near = is_peak.clone()
    for shift in (1, 2):
        near[shift:] |= is_peak[:-shift]
        near[:-shift] |= is_peak[shift:]
    return power * near.view(power.shape)


@lru_cache(maxsize=16)
def _summation(sample_rate: int, within: F0Range, device: torch.device) -> tuple[Tensor, Tensor]:
    """Smoothing, the logarithmic axis and the sum over harmonics as one matrix, since all three are linear.

    (bins, 1 + steps + 2): the mean over the axis, then the sum at every step within the range and one beyond either
    end; and log2 of the steps' frequencies in Hz, (steps,).
    """
    n_bins = fft_size(sample_rate) // 2 + 1
    smooth = np.zeros((n_bins, n_bins))
    for shift, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        smooth += weight * np.eye(n_bins, k=shift)
    axis = np.linspace(math.log2(AXIS_MIN_HZ), math.log2(sample_rate / 2), n_bins)
    steps = steps_per_octave(sample_rate)
    onto_axis = _spline(n_bins, 2**axis / (sample_rate / 2 / (n_bins - 1))).T
    add = np.zeros((n_bins, n_bins))
    for harmonic in range(1, N_HARMONICS + 1):
        add += HARMONIC_DECAY ** (harmonic - 1) * np.eye(n_bins, k=-round(steps * math.log2(harmonic) - 0.1))
    sums = smooth @ onto_axis @ add
    first, last = np.searchsorted(axis, [math.log2(within.min_hz), math.log2(within.max_hz)])
    matrix = np.concatenate([sums.mean(1, keepdims=True), sums[:, first - 1 : last + 1]], axis=1)
    return torch.from_numpy(matrix.astype(np.float32)).to(device), torch.from_numpy(axis[first:last]).float().to(device)


def _spline(n_knots: int, places: np.ndarray) -> np.ndarray:
    """(places, n_knots): the natural cubic spline through values at 0, 1, ... n_knots - 1, read at `places`."""
    system = 4 * np.eye(n_knots) + np.eye(n_knots, k=1) + np.eye(n_knots, k=-1)
    bend = 6 * (np.eye(n_knots, k=1) + np.eye(n_knots, k=-1) - 2 * np.eye(n_knots))
    for end in (0, -1):
        system[end], bend[end] = np.eye(n_knots)[end], 0
    curvature = np.linalg.solve(system, bend)
    knot = np.clip(places.astype(int), 0, n_knots - 2)
    right = (places - knot)[:, None]
    left = 1 - right
    values = np.eye(n_knots)
    straight = left * values[knot] + right * values[knot + 1]
    curved: np.ndarray = ((left**3 - left) * curvature[knot] + (right**3 - right) * curvature[knot + 1]) / 6
    return np.asarray(straight + curved)
