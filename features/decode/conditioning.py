"""What may be done to the samples of a window before anything is heard in them: take off DC, suppress noise."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfilt, sosfilt_zi

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint

VERSION = "conditioning-1"
PRE_ROLL_S = 1.0  # given to remove_dc before a window, what it returns for the window is as from the beginning
_DC_CUTOFF_HZ = 20.0


@dataclass(frozen=True)
class DenoiseConfig:
    """Of `denoise`. Gains and quantiles of power; a window shorter than `shortest_s` tells too little of its noise.

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
        """This configuration and the code's version in 12 hex digits."""
        return fingerprint(self, VERSION)


def remove_dc(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(time,) float32 through a causal Butterworth high-pass of second order at 20 Hz, of the same length.

    It starts as though the first sample had always been there. With PRE_ROLL_S of the recording before it, a window
    comes out as it does when all of the recording is filtered, to 1e-6 of full scale.
    """
    if not len(samples):
        return samples.copy()
    sos = butter(2, _DC_CUTOFF_HZ, "highpass", fs=rate_hz, output="sos")
    state = sosfilt_zi(sos) * float(samples[0])
    filtered: np.ndarray = sosfilt(sos, samples.astype(np.float64), zi=state)[0]
    with np.errstate(over="ignore"):
        return filtered.astype(np.float32)


def denoise(
    samples: np.ndarray,  # (time,) float32
    rate_hz: int,
    *,
    config: DenoiseConfig,
) -> np.ndarray:  # (time,) float32
    """The samples with stationary noise turned down by up to -floor_db.

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
    heard = irfft(spectrum, axis=1) * window
    padded[:] = 0.0
    padded[:-hop] += heard[:, :hop].ravel()
    padded[hop:] += heard[:, hop:].ravel()
    padded *= np.float32(peak)
    return padded[hop : hop + len(samples)]


def _noise(power: np.ndarray, quantile: float) -> np.ndarray:
    """(bins,): the mean power of noise whose `quantile` this is, taken as that of a Gaussian's periodogram."""
    heard = power[power.any(axis=1)]
    rank = min(len(heard) - 1, int(quantile * len(heard)))
    noise: np.ndarray = np.partition(heard, rank, axis=0)[rank] / -np.log1p(-quantile)
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
