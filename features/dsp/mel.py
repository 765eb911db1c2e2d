"""Log-mel spectra and MFCC.

The mel scale and the filters' constant area are Slaney's (Auditory Toolbox, 1998), librosa's default: linear below
1 kHz, logarithmic above.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint
from features.dsp import frames
from features.dsp.spectrum import hann, power_in_chunks

VERSION = "mel-1"
FLOOR = 1e-10  # just below the power that rounding to 16 bits alone puts into a mel band


@dataclass(frozen=True)
class MelConfig:
    """Configuration of `log_mel`: bands in Hz, times in seconds, `n_fft` in samples.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    n_mels: int = 80
    f_min_hz: float = 20.0
    f_max_hz: float = 7600.0
    frame_s: float = 0.025
    hop_s: float = 0.010
    n_fft: int = 512

    def fingerprint(self) -> str:
        """Return a digest of this configuration and the code's version, 12 hex digits."""
        return fingerprint(self, VERSION)


def log_mel(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    config: MelConfig = MelConfig(),
    sample_rate: int = 16_000,
) -> tuple[Tensor, Tensor]:  # (batch, frames, n_mels), (batch,) valid frames
    """Compute the natural log of mel power, log(1e-10) or more; exactly 0 in frames that are not valid.

    Raises UsageError when bands, window or shapes do not fit. `frames` depends on `time` alone; silence: the floor.
    """
    window, hop = frames.to_samples(config.frame_s, sample_rate), frames.to_samples(config.hop_s, sample_rate)
    waveform = frames.zero_padding(waveform, lengths)
    n_frames = frames.n_frames(lengths, window=window, hop=hop)
    chunks = [
        log_mel_of_power(power, config=config, sample_rate=sample_rate)
        for power in power_in_chunks(waveform, taper=hann(window, waveform.device), hop=hop, n_fft=config.n_fft)
    ]
    values = torch.cat(chunks, dim=1)
    counts = frames.length_mask(n_frames, values.shape[1])[..., None]
    return torch.where(counts, values, 0.0), n_frames


def log_mel_of_power(power: Tensor, *, config: MelConfig, sample_rate: int) -> Tensor:
    """Compute log-mel values of a power spectrum (batch, frames, bins): (batch, frames, n_mels)."""
    return (power @ filterbank(config, sample_rate, power.device)).clamp_min(FLOOR).log()


def mfcc(
    log_mel: Tensor,  # (..., n_mels)
    *,
    n_mfcc: int = 13,
) -> Tensor:  # (..., n_mfcc)
    """Compute cepstra of a log-mel spectrum: orthonormal DCT-II, coefficient 0 first (Davis & Mermelstein, 1980)."""
    return log_mel @ dct_basis(log_mel.shape[-1], n_mfcc, log_mel.device)


@lru_cache(maxsize=32)
def filterbank(config: MelConfig, sample_rate: int, device: torch.device) -> Tensor:
    """Make triangular filters (n_fft // 2 + 1, n_mels) float32; raise UsageError for bands outside 0 Hz to Nyquist."""
    if not 0 <= config.f_min_hz < config.f_max_hz <= sample_rate / 2:
        raise UsageError(
            f"expected 0 <= f_min_hz < f_max_hz <= {sample_rate / 2:g} Hz, found {config.f_min_hz:g} to "
            f"{config.f_max_hz:g}: narrow the mel bands or resample"
        )
    low, high = _hz_to_mel(config.f_min_hz), _hz_to_mel(config.f_max_hz)
    edges_hz = _mel_to_hz(np.linspace(low, high, config.n_mels + 2))
    bins_hz = np.arange(config.n_fft // 2 + 1)[:, None] * sample_rate / config.n_fft
    filters = triangular_filters(bins_hz, edges_hz) * 2 / (edges_hz[2:] - edges_hz[:-2])
    return torch.from_numpy(filters.astype(np.float32)).to(device)


def triangular_filters(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Make filters (places, len(edges) - 2) that rise from one edge to 1 at the next and fall to 0 at the one after."""
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    lower: np.ndarray = np.minimum(rising, falling)
    return lower.clip(min=0)


@lru_cache(maxsize=32)
def dct_basis(n_mels: int, n_mfcc: int, device: torch.device) -> Tensor:
    """Make the orthonormal DCT-II as a matrix (n_mels, n_mfcc) float32; raise UsageError when n_mfcc exceeds n_mels."""
    if not 1 <= n_mfcc <= n_mels:
        raise UsageError(f"expected n_mfcc from 1 to n_mels = {n_mels}, found {n_mfcc}: ask for fewer coefficients")
    angle = math.pi / n_mels * (np.arange(n_mels)[:, None] + 0.5) * np.arange(n_mfcc)
    basis = np.cos(angle) * math.sqrt(2 / n_mels)
    basis[:, 0] /= math.sqrt(2)
    return torch.from_numpy(basis.astype(np.float32)).to(device)


_MEL_HZ, _BREAK_HZ = 200 / 3, 1000.0  # a mel below the break, and the break
_LOG_STEP = math.log(6.4) / 27  # a mel above it


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _MEL_HZ
    return _BREAK_HZ / _MEL_HZ + math.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_HZ / _MEL_HZ))
    return np.where(mel < _BREAK_HZ / _MEL_HZ, mel * _MEL_HZ, above)
