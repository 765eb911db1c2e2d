"""Formants, the resonances of the vocal tract: poles of a linear prediction of each frame.

Markel and Gray, "Linear Prediction of Speech", Springer, 1976: the frame's autocorrelation, the predictor by
Levinson's and Durbin's recursion, the predictor polynomial's roots; a pole's angle is a formant's frequency, its radius
the bandwidth.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.dsp import frames
from features.dsp.polynomials import roots
from features.dsp.spectrum import fft_size, gauss, hamming, iter_chunks, power_spectrum

VERSION = "formants-2"
N_FORMANTS = 3
FRAME_S = 0.050
SIGMA = 0.4  # of the Gaussian taper, in half frames
PRE_EMPHASIS_HZ = 50.0
MIN_HZ = 50.0  # poles below it, or as close to the band's end, shape the spectrum's tilt and are no formants
SILENCE_POWER = 1e-10  # mean square below which a frame is silence
NOISE_FLOOR = (
    1e-7  # of a frame's energy: white noise that keeps the predictor of a clean sound from magnifying its rounding
)
_TINY = 1e-20
_ORDER, _BAND_HZ = 11, 11_000  # of egemaps_poles


class FormantTrack(NamedTuple):
    """Formants by frame, both (batch, frames, N_FORMANTS) float32; 0 where there is no such formant."""

    frequency_hz: Tensor
    bandwidth_hz: Tensor


def formant_track(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    max_hz: float = 5500.0,
    n_poles: int = 10,
    hop_s: float = 0.010,
) -> FormantTrack:
    """Track F1 to F3 and their bandwidths, in Hz, in frames of 50 ms, voiced or not, as Praat's Burg analysis does.

    `max_hz` is the upper end of the band that `n_poles` poles describe: 5500 suits most voices, 5000 a low one. Column
    `t` is the frame that starts at sample `t * hop`; frames beyond a row's length, silence and a constant are 0. Raises
    UsageError when `max_hz` exceeds half the sample rate, or the shapes do not fit.
    """
    if not 1000 <= max_hz <= sample_rate / 2:
        raise UsageError(f"expected max_hz from 1000 to {sample_rate / 2:g} Hz, found {max_hz:g}: lower it or resample")
    window, hop = frames.to_samples(FRAME_S, sample_rate), frames.to_samples(hop_s, sample_rate)
    waveform = frames.zero_padding(frames.nan_to_zero(waveform), lengths)
    waveform = torch.nn.functional.pad(waveform, (0, max(0, window - waveform.shape[1])))
    n_fft = fft_size(window)
    to_lags = _to_autocorrelation(n_fft, sample_rate, max_hz, n_poles, waveform.device)
    taper = gauss(window, SIGMA, waveform.device)
    chunks = []
    for chunk in iter_chunks(waveform, window=window, hop=hop):
        power = power_spectrum(chunk, taper=taper, hop=hop, n_fft=n_fft)
        silent = frames.frame(chunk, window=window, hop=hop).var(-1, correction=0)[..., None] < SILENCE_POWER
        lags = torch.where(silent, 0.0, power[..., : len(to_lags)] @ to_lags)
        poles = torch.stack(resonances(lags.flatten(0, 1), 2 * max_hz))
        chunks.append(poles.reshape(2, *lags.shape[:2], N_FORMANTS))
    frequency_hz, bandwidth_hz = torch.cat(chunks, dim=2)
    valid = frames.length_mask(frames.n_frames(lengths, window=window, hop=hop), frequency_hz.shape[1])[..., None]
    return FormantTrack(torch.where(valid, frequency_hz, 0.0), torch.where(valid, bandwidth_hz, 0.0))


def resonances(
    autocorrelation: Tensor,  # (n, order + 1)
    sample_rate: float,
) -> tuple[Tensor, Tensor]:  # each (n, N_FORMANTS), in Hz
    """Return frequency and bandwidth of the lowest poles above MIN_HZ; 0 in silence and where there is no such pole."""
    has_sound = autocorrelation[:, :1] > _TINY
    return lowest_poles(linear_prediction(autocorrelation), sample_rate, has_sound=has_sound, min_hz=MIN_HZ)


def egemaps_poles(
    cut: Tensor,  # (n, window): frames of 20 ms
    *,
    sample_rate: int,
) -> tuple[Tensor, Tensor]:  # each (n, N_FORMANTS), in Hz
    """Reproduce the formants of eGeMAPSv02 for comparability, although they do not follow the vocal tract.

    As measured on its output: the frame's spectrum is cut at 5500 Hz by the share of the window and not of the padded
    transform (at 16 kHz, 3.4 kHz are left), 70% of the samples at 11 kHz go into a predictor of order 11, and its
    coefficients enter the polynomial with the opposite sign, so that the poles spread over the band and bandwidths
    exceed 1 kHz. `formant_track` gives resonances.
    """
    # In double precision: a clean frame's predictor magnifies rounding, which depends on the batch.
    tapered = (cut * hamming(cut.shape[1], cut.device)).double()
    narrow = tapered @ _band_limited(cut.shape[1], sample_rate, cut.device)
    n = narrow.shape[1]
    lags = torch.stack([(narrow[:, : n - lag] * narrow[:, lag:]).sum(-1) for lag in range(_ORDER + 1)], dim=-1)
    polynomial = linear_prediction(lags)
    flipped = torch.cat([polynomial[:, :1], -polynomial[:, 1:]], dim=-1)
    return lowest_poles(flipped.float(), _BAND_HZ, has_sound=lags[:, :1] > _TINY, min_hz=20.0)


def lowest_poles(
    polynomial: Tensor,  # (n, order + 1)
    sample_rate: float,
    *,
    has_sound: Tensor,  # (n, 1) bool
    min_hz: float,
) -> tuple[Tensor, Tensor]:  # each (n, N_FORMANTS), in Hz
    """Return frequency and bandwidth of the roots with the smallest angles, `min_hz` or more from either band edge."""
    poles = roots(torch.where(has_sound, polynomial, _harmless_polynomial(polynomial)))
    hertz = poles.angle() * (sample_rate / (2 * math.pi))
    width = poles.abs().clamp_min(_TINY).log().abs() * (sample_rate / math.pi)
    counts = (hertz > min_hz) & (hertz < sample_rate / 2 - min_hz) & has_sound
    order = torch.where(counts, hertz, torch.inf).sort(dim=-1)
    lowest, place = order.values[:, :N_FORMANTS], order.indices[:, :N_FORMANTS]
    exists = lowest < torch.inf
    return torch.where(exists, lowest, 0.0), torch.where(exists, width.gather(-1, place), 0.0)


def linear_prediction(autocorrelation: Tensor) -> Tensor:
    """Solve for the predictor by Levinson and Durbin: (..., order + 1) to 1, a1, ... a_order of the same shape."""
    error = autocorrelation[..., :1] * (1 + NOISE_FLOOR) + _TINY
    polynomial = torch.ones_like(error)
    for order in range(1, autocorrelation.shape[-1]):
        reflection = -(polynomial * autocorrelation[..., 1 : order + 1].flip(-1)).sum(-1, keepdim=True) / error
        padded = torch.nn.functional.pad(polynomial, (0, 1))
        polynomial = padded + reflection * padded.flip(-1)
        error = error * (1 - reflection.square()).clamp_min(1e-7)
    return polynomial


def _harmless_polynomial(polynomial: Tensor) -> Tensor:
    """Return x ** order - 0.5 ** order: a stand-in for silence, so that the root finder always has roots to find."""
    harmless = torch.zeros_like(polynomial)
    harmless[:, 0], harmless[:, -1] = 1.0, -(0.5 ** (polynomial.shape[1] - 1))
    return harmless


@lru_cache(maxsize=16)
def _to_autocorrelation(n_fft: int, sample_rate: int, max_hz: float, n_poles: int, device: torch.device) -> Tensor:
    """Make the matrix (bins up to max_hz, n_poles + 1) from a power spectrum to the pre-emphasised autocorrelation."""
    n_bins = int(max_hz * n_fft / sample_rate) + 1
    hz = torch.arange(n_bins, dtype=torch.float64) * sample_rate / n_fft
    keep = math.exp(-2 * math.pi * PRE_EMPHASIS_HZ / (2 * max_hz))
    emphasis = 1 + keep**2 - 2 * keep * torch.cos(math.pi * hz / max_hz)
    weight = torch.full_like(hz, 2.0)
    weight[0] = 1.0
    lags = torch.cos(math.pi * hz[:, None] / max_hz * torch.arange(n_poles + 1))
    return (lags * (weight * emphasis)[:, None]).float().to(device)


@lru_cache(maxsize=8)
def _band_limited(window: int, sample_rate: int, device: torch.device) -> Tensor:
    """Make the matrix (window, samples at _BAND_HZ) float64: band limitation and resampling of `egemaps_poles`."""
    n_fft = fft_size(window)
    n_bins = int(window * _BAND_HZ / 2 / sample_rate)
    n_samples = int(0.7 * window * _BAND_HZ / sample_rate)
    position = torch.arange(n_samples, dtype=torch.float64) * sample_rate / _BAND_HZ
    distance = position[None, :] - torch.arange(window, dtype=torch.float64)[:, None]
    cycles = distance[..., None] * torch.arange(n_bins, dtype=torch.float64) / n_fft
    return torch.cos(2 * math.pi * cycles).sum(-1).to(device)
