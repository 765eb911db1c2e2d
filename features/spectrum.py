"""What one frame's power spectrum says about the voice: level, balance, tilt, change."""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features import frames

VERSION = "spectrum-1"
CHUNK_FRAMES = 1024  # frames in flight at once: bounds memory, and fits a core's cache


@lru_cache(maxsize=32)
def hann(window: int, device: torch.device) -> Tensor:
    """The periodic Hann window, (window,) float32: made once a size and device; do not write into it."""
    return torch.hann_window(window, periodic=True, device=device)


def power_spectrum(
    waveform: Tensor,  # (batch, time), zero beyond each row's length (frames.silence_padding)
    *,
    window: int,
    hop: int,
    n_fft: int,
) -> Tensor:
    """Power of the Hann-windowed frames, (batch, frames, n_fft // 2 + 1), not normalised; sizes in samples.

    The frame that starts at sample `t * hop` is row `t`: librosa's `center=False`, except that a window shorter than
    `n_fft` is padded behind and not on both sides. Raises UsageError when `n_fft` is shorter than the window.
    """
    if n_fft < window:
        raise UsageError(f"expected n_fft of at least the window's {window} samples, found {n_fft}: raise n_fft")
    framed = frames.split(waveform, window=window, hop=hop) * hann(window, waveform.device)
    spectrum: Tensor = torch.fft.rfft(framed, n=n_fft)
    return spectrum.real.square() + spectrum.imag.square()


def power_in_chunks(
    waveform: Tensor, *, window: int, hop: int, n_fft: int, overlap: int = 0
) -> Iterator[Tensor]:  # each (batch, some frames, bins)
    """`power_spectrum` a stretch of frames at a time, so that memory does not follow the recording's length.

    Each chunk but the first begins with the last `overlap` frames of the one before.
    """
    width = frames.room(waveform.shape[1], window=window, hop=hop)
    step = max(1, CHUNK_FRAMES // max(1, waveform.shape[0]))
    for first in range(0, width, step):
        begin, end = max(0, first - overlap), min(first + step, width)
        stretch = waveform[:, begin * hop : (end - 1) * hop + window]
        yield power_spectrum(stretch, window=window, hop=hop, n_fft=n_fft)


DESCRIPTOR_NAMES = (
    "energy_db",
    "centroid_hz",
    "spread_hz",
    "rolloff_hz",
    "flatness",
    "flux",
    "slope_0_500_db_per_khz",
    "slope_500_1500_db_per_khz",
    "alpha_ratio_db",
    "hammarberg_db",
)
FLOOR = 1e-8  # of power in a bin: what the rounding to 16 bits alone puts there
ROLLOFF = 0.85  # of the power lies below the roll-off


def descriptors(
    power: Tensor,  # (batch, frames, bins), of consecutive frames
    *,
    sample_rate: int = 16_000,
) -> Tensor:  # (batch, frames, len(DESCRIPTOR_NAMES)), float32
    """Each frame's level and shape, in the order and units of DESCRIPTOR_NAMES; finite for any finite power.

    Silence counts as a flat spectrum on the floor: flatness 1, slopes and ratios as white noise has them. Flux compares
    with the frame before and is 0 in the first. Slopes, alpha ratio and Hammarberg index as in eGeMAPS (Eyben et al.,
    IEEE Trans. Affective Computing 7(2), 2016, after Hammarberg et al., 1980); centroid, spread and roll-off after
    Peeters, CUIDADO report, 2004. Raises UsageError below 10 kHz, where the bands up to 5 kHz have no bins.
    """
    if sample_rate < 10_000:
        raise UsageError(f"expected a sample rate of at least 10000 Hz, found {sample_rate}: resample before")
    n_bins = power.shape[-1]
    power = power.clamp_min(FLOOR)
    log_power = power.log()
    of_power, of_log = _projections(n_bins, sample_rate, power.device)
    total, moment, moment_2, low_band, high_band = (power @ of_power).unbind(-1)
    log_mean, slope_0_500, slope_500_1500 = (log_power @ of_log).unbind(-1)
    centroid = moment / total
    mean_power = total / n_bins
    up_to_2k, up_to_5k = (log_power[..., _bins(n_bins, sample_rate, *band)] for band in ((0, 2000), (2000, 5000)))
    columns = (
        10 * mean_power.log10(),
        1000 * centroid,
        1000 * (moment_2 / total - centroid.square()).clamp_min(0).sqrt(),
        _rolloff_bins(power) * (sample_rate / 2 / (n_bins - 1)),
        (log_mean - mean_power.log()).exp().clamp_max(1),
        _flux((power / total[..., None]).sqrt()),
        slope_0_500,
        slope_500_1500,
        10 * (low_band / high_band).log10(),
        _DB * (up_to_2k.amax(-1) - up_to_5k.amax(-1)),
    )
    return torch.stack(columns, dim=-1)


def _rolloff_bins(power: Tensor) -> Tensor:
    """Where the running sum reaches ROLLOFF of the whole, between bins: a whole bin would jump with the last digit."""
    running = power.cumsum(-1)
    target = ROLLOFF * running[..., -1:]
    at = (running < target).sum(-1, keepdim=True)
    over = (running.gather(-1, at) - target) / power.gather(-1, at)
    return (at - over.clamp(0, 1)).squeeze(-1).clamp_min(0)


def _flux(shape: Tensor) -> Tensor:
    """The distance of each frame's unit-length magnitude spectrum from the one before, in [0, sqrt(2)]."""
    change: Tensor = torch.linalg.vector_norm(shape[:, 1:] - shape[:, :-1], dim=-1)
    return torch.nn.functional.pad(change, (1, 0))


_DB = 10 / math.log(10)  # a natural logarithm of power in decibels


def _bins(n_bins: int, sample_rate: int, low_hz: float, high_hz: float) -> slice:
    """The bins from `low_hz` (included) to `high_hz` (not included)."""
    per_hz = (n_bins - 1) / (sample_rate / 2)
    return slice(math.ceil(low_hz * per_hz), math.ceil(high_hz * per_hz))


@lru_cache(maxsize=32)
def _projections(n_bins: int, sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What is linear in power (sum, moments in kHz, two bands) and in log power (mean, least-squares slopes)."""
    khz = torch.linspace(0, sample_rate / 2000, n_bins, dtype=torch.float64)
    of_power = torch.zeros(n_bins, 5, dtype=torch.float64)
    of_power[:, 0], of_power[:, 1], of_power[:, 2] = 1, khz, khz.square()
    of_power[_bins(n_bins, sample_rate, 50, 1000), 3] = 1
    of_power[_bins(n_bins, sample_rate, 1000, 5000), 4] = 1
    of_log = torch.zeros(n_bins, 3, dtype=torch.float64)
    of_log[:, 0] = 1 / n_bins
    for column, band_hz in ((1, (0, 500)), (2, (500, 1500))):
        within = _bins(n_bins, sample_rate, *band_hz)
        centred = khz[within] - khz[within].mean()
        of_log[within, column] = _DB * centred / centred.square().sum()
    return of_power.float().to(device), of_log.float().to(device)
