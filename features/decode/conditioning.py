"""Suppression of stationary noise in a window's samples before analysis."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint

VERSION = "conditioning-1"


@dataclass(frozen=True)
class DenoiseConfig:
    """Configuration of `denoise`. A window shorter than `shortest_s` is too short to estimate its noise.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    frame_s: float = 0.032
    noise_quantile: float = 0.2  # of each bin over time: a pause in one frame of five is enough
    smoothing: float = 0.95  # of the a priori SNR: higher leaves fewer musical tones, and less speech
    floor_db: float = -15.0  # noise is never turned down further
    shortest_s: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.noise_quantile < 1 and 0 <= self.smoothing < 1 and self.floor_db <= 0):
            raise UsageError(f"expected 0 < noise_quantile < 1, 0 <= smoothing < 1, floor_db <= 0, found {self}")
        if not 0.005 <= self.frame_s <= 0.1 or self.shortest_s < 2 * self.frame_s:
            raise UsageError(f"expected frame_s from 0.005 to 0.1 and shortest_s of two frames or more, found {self}")

    def fingerprint(self) -> str:
        """Return the hash of this configuration and the code's version, 12 hex digits."""
        return fingerprint(self, VERSION)


def denoise(
    samples: np.ndarray,  # (time,) float32
    rate_hz: int,
    *,
    config: DenoiseConfig,
) -> np.ndarray:  # (time,) float32
    """Suppress stationary noise by up to -floor_db.

    A Wiener gain from the decision-directed a priori SNR (Scalart and Filho, ICASSP 1996, after Ephraim and Malah,
    IEEE Trans. ASSP 32(6), 1984). The noise is a low quantile of each bin's power over the window (Stahl, Fischer and
    Bippus, ICASSP 2000), so the window should hold some seconds; digital silence in it does not count.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0 or len(samples) < config.shortest_s * rate_hz:
        return samples.copy()
    hop = next_fast_len(round(config.frame_s * rate_hz / 2))
    window = np.sqrt(np.hanning(2 * hop + 1)[:-1]).astype(np.float32)  # twice, analysis and synthesis, it adds up to 1
    n_frames = -(-len(samples) // hop) + 1
    padded = np.zeros((n_frames + 1) * hop, np.float32)
    padded[hop : hop + len(samples)] = samples / np.float32(peak)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    spectrum = rfft(frames * window, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    spectrum *= _gains(power / _noise(power, config.noise_quantile), config)
    output = irfft(spectrum, axis=1) * window
    padded[:] = 0.0
    padded[:-hop] += output[:, :hop].ravel()
    padded[hop:] += output[:, hop:].ravel()
    padded *= np.float32(peak)
    return padded[hop : hop + len(samples)]


def _noise(power: np.ndarray, quantile: float) -> np.ndarray:
    """Estimate the (bins,) mean power of noise from its `quantile`, as of a Gaussian's periodogram."""
    nonzero = power[power.any(axis=1)]
    rank = min(len(nonzero) - 1, int(quantile * len(nonzero)))
    noise: np.ndarray = np.partition(nonzero, rank, axis=0)[rank] / -np.log1p(-quantile)
    return noise.clip(1e-12)


def _gains(
    a_posteriori: np.ndarray,  # (frames, bins), power over the noise's
    config: DenoiseConfig,
) -> np.ndarray:  # (frames, bins), floor to 1
    gains = np.empty_like(a_posteriori)
    fresh = (1 - config.smoothing) * np.maximum(a_posteriori - 1, 0)
    speech = np.maximum(a_posteriori[0] - 1, 0)  # the frame before's, over the noise
    for frame, gain in enumerate(gains):
        a_priori = np.multiply(speech, config.smoothing, out=speech)
        a_priori += fresh[frame]
        np.divide(a_priori, a_priori + 1, out=gain)
        np.multiply(gain, gain, out=speech)
        speech *= a_posteriori[frame]
    return gains.clip(10 ** (config.floor_db / 20), 1.0, out=gains)
