"""F0 candidates of a frame's spectrum by subharmonic summation.

Hermes, "Measurement of pitch by subharmonic summation", J. Acoust. Soc. Am. 83(1), 1988: the spectrum's peaks on a
logarithmic axis, shifted by each harmonic's interval, added with a falling weight; the sum's maxima are the candidates.
Frames and range as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from features.dsp import frames, spectrum
from features.dsp.spectrum import gauss, parabola_peak, power_of_frames

VERSION = "subharmonics-3"
FRAME_S = 0.060
SIGMA = 0.4  # of the Gaussian taper, in half frames
AXIS_MIN_HZ = 25.0  # of the logarithmic axis, which ends at half the sample rate
N_HARMONICS, HARMONIC_DECAY = 15, 0.85
ROUND_UP_FROM = 0.6  # of a step: a harmonic's interval is rounded up from here on; tuned on real speech
N_CANDIDATES = 3
QUIET_DB = -60.0  # root mean square of the tapered frame, against full scale: below it there are no candidates
DOUBTFUL_STRENGTH, DOUBTFUL_MAX_HZ = (
    (0.35, 0.7),
    130.0,
)  # a low voice with many strong harmonics may get these: a flat sum
OFFSET_BINS = 4  # taken up by a constant offset and slow drift
MIN_PERIODICITY, PERIODICITY_MAX_HZ = 0.97, 2000.0  # share of the energy below so many Hz that must repeat in doubt
_TINY = 1e-20


class Candidates(NamedTuple):
    """Maxima of the subharmonic sum, (batch, frames, N_CANDIDATES), the strongest first."""

    f0_hz: Tensor
    strength: Tensor  # in [0, 1]; -1 where there is no further maximum


class F0Range(NamedTuple):
    """Range in which F0 is looked for, in Hz."""

    min_hz: float = 55.0
    max_hz: float = 1000.0


EGEMAPS_RANGE = F0Range()


def fft_size(sample_rate: int) -> int:
    """Return the smallest power of two that holds a frame of FRAME_S."""
    return spectrum.fft_size(frames.to_samples(FRAME_S, sample_rate))


def harmonic_power(
    framed: Tensor,  # (..., window): frames of FRAME_S
    *,
    sample_rate: int,
) -> Tensor:  # (..., fft_size // 2 + 1)
    """Compute the power spectrum of the frames under the Gaussian taper."""
    window, n_fft = framed.shape[-1], fft_size(sample_rate)
    tapered = framed.new_zeros(*framed.shape[:-1], n_fft)
    torch.mul(framed, gauss(window, SIGMA, framed.device), out=tapered[..., :window])
    return power_of_frames(tapered, n_fft=n_fft)


def find_candidates(
    power: Tensor,  # (batch, frames, fft_size // 2 + 1), as of harmonic_power
    *,
    sample_rate: int,
    f0_range: F0Range = EGEMAPS_RANGE,
) -> Candidates:
    """Find the N_CANDIDATES strongest maxima of the subharmonic sum; frames quieter than QUIET_DB have none."""
    energy = power.sum(-1) * (2 / (fft_size(sample_rate) * frames.to_samples(FRAME_S, sample_rate)))
    loud = (energy >= 10 ** (QUIET_DB / 10)).nonzero(as_tuple=True)
    f0_hz = power.new_full((*power.shape[:-1], N_CANDIDATES), f0_range.min_hz)
    strength = torch.full_like(f0_hz, -1.0)
    if len(loud[0]):
        f0_hz[loud], strength[loud] = _maxima(power[loud], sample_rate=sample_rate, f0_range=f0_range)
    return Candidates(f0_hz, strength)


def _maxima(power: Tensor, *, sample_rate: int, f0_range: F0Range) -> tuple[Tensor, Tensor]:
    """Return F0 in Hz and strength, (n, N_CANDIDATES), of frames (n, bins), refined by a parabola on the log axis.

    A candidate's strength is 1 less the ratio of the sum's mean to its height (Eyben et al., 2016).
    """
    to_sums, to_mean, log2_hz = _summation_matrices(sample_rate, f0_range, power.device)
    lowest = math.ceil(AXIS_MIN_HZ / (sample_rate / fft_size(sample_rate)))
    peaks = _keep_peaks(power.sqrt(), lowest=lowest)
    mean = peaks @ to_mean
    sums = torch.cat([peaks[:, : len(block)] @ block for block in to_sums], dim=-1)
    left, centre, right = sums[:, :-2], sums[:, 1:-1], sums[:, 2:]
    is_peak = (centre > left) & (centre >= right) & (centre > 0)
    best = torch.where(is_peak, centre, 0.0).topk(N_CANDIDATES, dim=-1)
    left, right = sums.gather(-1, best.indices), sums.gather(-1, best.indices + 2)
    shift, height = parabola_peak(left, best.values, right)
    strength = (1 - mean[:, None] / height.clamp_min(_TINY)).clamp(0, 1)
    strength = torch.where(best.values > 0, strength, -1.0)
    f0_hz = (
        (log2_hz[best.indices] + shift / steps_per_octave(sample_rate)).exp2().clamp(f0_range.min_hz, f0_range.max_hz)
    )
    low, high = DOUBTFUL_STRENGTH
    in_doubt = ((strength[:, 0] > low) & (strength[:, 0] < high) & (f0_hz[:, 0] < DOUBTFUL_MAX_HZ)).nonzero()[:, 0]
    if len(in_doubt):
        periodicity = _periodicity(power[in_doubt], f0_hz[in_doubt], sample_rate=sample_rate)
        is_periodic = periodicity >= MIN_PERIODICITY
        strength[in_doubt] = torch.where(is_periodic, periodicity.clamp_max(1), strength[in_doubt])
    strength, order = strength.sort(dim=-1, descending=True)  # the parabolas may have changed the order
    return f0_hz.gather(-1, order), strength


def steps_per_octave(sample_rate: int) -> float:
    """Return the steps per octave of the logarithmic axis, which has as many points as the spectrum has bins."""
    return fft_size(sample_rate) / 2 / math.log2(sample_rate / 2 / AXIS_MIN_HZ)


def _periodicity(power: Tensor, f0_hz: Tensor, *, sample_rate: int) -> Tensor:
    """Return the share of the energy of frames (n, bins) that repeats with each period 1 / f0_hz (n, k): (n, k).

    The autocorrelation at the period, divided by that of the taper (Boersma, 1993).
    """
    lag = (sample_rate / f0_hz).long()
    taper = gauss(frames.to_samples(FRAME_S, sample_rate), SIGMA, power.device)
    taper_correlation: Tensor = torch.fft.irfft(power_of_frames(taper, n_fft=fft_size(sample_rate)))
    power = power.clone()
    power[:, :OFFSET_BINS] = 0.0
    power[:, int(PERIODICITY_MAX_HZ / sample_rate * fft_size(sample_rate)) :] = 0.0
    correlation: Tensor = torch.fft.irfft(power)
    near = torch.stack(
        [correlation.gather(-1, lag + shift) / taper_correlation[lag + shift] for shift in (-1, 0, 1, 2)]
    ).amax(0)
    return near * taper_correlation[0] / correlation[:, :1].clamp_min(_TINY)


def _keep_peaks(magnitude: Tensor, *, lowest: int) -> Tensor:
    """Set `magnitude` (n, bins) to 0 except within two bins of a local maximum, in place, and return it.

    No bin below the axis counts, and `lowest`, the first on it, always does. Rows are laid end to end, which is several
    times as fast; the two bins at either end, which may be affected by the next row's maxima, are then corrected.
    """
    line = magnitude.view(-1)
    flat = torch.zeros_like(line, dtype=torch.bool)
    torch.logical_and(line[1:-1] > line[:-2], line[1:-1] >= line[2:], out=flat[1:-1])
    is_peak = flat.view(magnitude.shape)
    is_peak[:, 0], is_peak[:, -1] = False, False
    near = flat.clone()
    for shift in (1, 2):
        near[shift:] |= flat[:-shift]
        near[:-shift] |= flat[shift:]
    near = near.view(magnitude.shape)
    near[:, :lowest], near[:, lowest] = False, True
    near[:, -2:] = torch.stack([is_peak[:, -4:].any(-1), is_peak[:, -3:].any(-1)], dim=-1)
    return magnitude.mul_(near)


@lru_cache(maxsize=16)
def _summation_matrices(
    sample_rate: int, f0_range: F0Range, device: torch.device
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Make smoothing, the logarithmic axis and the sum over harmonics as matrices, since all three are linear.

    - (bins, steps) for each octave, of the bins that count in it: the sum at each step within the range and one step
      beyond either end;
    - (bins,) the sum's mean over the whole axis;
    - (steps,) log2 of the steps' frequencies in Hz.
    """
    n_bins = fft_size(sample_rate) // 2 + 1
    smooth = np.zeros((n_bins, n_bins))
    for shift, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        smooth += weight * np.eye(n_bins, k=shift)
    axis = np.linspace(math.log2(AXIS_MIN_HZ), math.log2(sample_rate / 2), n_bins)
    steps = steps_per_octave(sample_rate)
    onto_axis = _spline_matrix(n_bins, 2**axis / (sample_rate / 2 / (n_bins - 1))).T
    add = np.zeros((n_bins, n_bins))
    for harmonic in range(1, N_HARMONICS + 1):
        add += HARMONIC_DECAY ** (harmonic - 1) * np.eye(
            n_bins, k=-math.floor(steps * math.log2(harmonic) + 1 - ROUND_UP_FROM)
        )
    sums = smooth @ onto_axis @ add
    first, last = np.searchsorted(axis, [math.log2(f0_range.min_hz), math.log2(f0_range.max_hz)])
    edges = [*range(first - 1, last + 1, math.ceil(steps)), last + 1]
    blocks = []
    for begin, end in itertools.pairwise(edges):
        block = sums[:, begin:end]
        counts = np.abs(block).max(1) > 1e-7
        blocks.append(torch.from_numpy(block[: int(counts.nonzero()[0].max()) + 1].astype(np.float32)).to(device))
    mean = torch.from_numpy(sums.mean(1).astype(np.float32)).to(device)
    return blocks, mean, torch.from_numpy(axis[first:last]).float().to(device)


def _spline_matrix(n_knots: int, places: np.ndarray) -> np.ndarray:
    """Make the matrix (places, n_knots) that reads the natural cubic spline through values at 0 ... n_knots - 1."""
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
