"""Detection of dual mono: all channels of a recording carry one and the same signal, so that one is enough.

The loudest difference anywhere counts, not the mean: a customer who says one word in an hour must not vanish because
the agent was in both channels before. Differences are measured below 3 kHz, in the range of voices: above 4 kHz AAC
puts other noise into each channel (perceptual noise substitution, ISO/IEC 14496-3), even of dual mono.
"""

import numpy as np
from scipy.fft import next_fast_len, rfft

from data_contracts.errors import UsageError

VERSION = "dual-mono-1"
_FRAME_S = 0.032
_STEP_FRAMES = 8  # frames over which a difference is averaged
_BAND_HZ = (60.0, 3_000.0)
_MAX_DIFFERENCE_DB = -25.0  # AAC, Opus, WMA and AC-3 at low rates leave -30 dB or less of dual mono, MP3 nothing
_MAX_CHANNELS = 32  # more are no call and are not compared, which bounds memory
_MAX_AMPLITUDE = 16.0  # louder samples are clipped: no power overflows


class DualMonoDetector:
    """Comparison of the channels. The size of blocks changes nothing; memory is constant, a quarter of a second."""

    def __init__(self, rate_hz: int, n_channels: int) -> None:
        """Raises UsageError for a rate below 4 kHz, or no channel."""
        if rate_hz < 4_000 or n_channels < 1:
            raise UsageError(f"expected 4000 Hz and 1 channel or more, found {rate_hz} Hz and {n_channels}")
        n = next_fast_len(round(_FRAME_S * rate_hz), real=True)
        self._window = np.hanning(n).astype(np.float32)
        low, high = (round(hz * n / rate_hz) for hz in _BAND_HZ)
        self._bins = slice(low, high)
        self._n_channels, self._compares = n_channels, 1 < n_channels <= _MAX_CHANNELS
        self._buffer, self._n_buffered = (
            np.zeros((n_channels if self._compares else 1, _STEP_FRAMES * n), np.float32),
            0,
        )
        self._power, self._n_steps = 0.0, 0  # of the first channel, summed
        self._largest_difference = 0.0  # difference of any channel from it in any step

    def add(self, block: np.ndarray) -> None:  # (frames, channels) float32, full scale 1
        """Add the next samples of a recording."""
        while len(block) and self._compares:
            taken = block[: self._buffer.shape[1] - self._n_buffered]
            self._buffer[:, self._n_buffered : self._n_buffered + len(taken)] = taken.T
            self._n_buffered += len(taken)
            block = block[len(taken) :]
            if self._n_buffered == self._buffer.shape[1]:
                power, difference = self._powers()
                self._power, self._n_steps = self._power + power, self._n_steps + 1
                self._largest_difference, self._n_buffered = max(self._largest_difference, difference), 0

    def is_dual_mono(self) -> bool:
        """Tell whether no channel ever differs from the first by more than -25 dB of its mean power; true in silence.

        A copy at another level is not the same signal. One channel alone is no dual mono, nor are more than 32.
        """
        if not self._compares:
            return False
        self._buffer[:, self._n_buffered :] = 0.0
        power, difference = self._powers()
        n_steps = self._n_steps + self._n_buffered / self._buffer.shape[1]
        mean_power = (self._power + power) / max(n_steps, 1e-9)
        return bool(max(self._largest_difference, difference) <= 10 ** (_MAX_DIFFERENCE_DB / 10) * mean_power)

    def _powers(self) -> tuple[float, float]:
        """Return powers in the band over the buffer: the first channel's, and the largest difference from it."""
        signals = self._buffer.clip(-_MAX_AMPLITUDE, _MAX_AMPLITUDE)
        signals[1:] -= signals[0]
        frames = signals.reshape(self._n_channels, _STEP_FRAMES, -1) * self._window
        spectrum = rfft(frames, axis=2)[:, :, self._bins]
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=(1, 2), dtype=np.float64)
        return float(power[0]), float(power[1:].max(initial=0.0))
