"""Choice of the channels that are mixed: those that carry sound, or one alone where they cancel each other.

The mean of all channels is right for most recordings. It divides speech in one channel of six by six, adds the rumble
of a low-frequency channel, and is silent where two channels carry one voice in opposite phase (a cable soldered the
wrong way, a phase switch). Levels are measured from 250 Hz to 3 kHz, in steps of a quarter of a second; the loudest
step counts, so that somebody who says one word in an hour is not left out.
"""

import numpy as np
from scipy.fft import next_fast_len, rfft

from data_contracts.errors import UsageError

VERSION = "mixing-1"
MAX_CHANNELS = 32  # of more, all are mixed
_FRAME_S, _FRAMES_PER_STEP = 0.032, 8
_LOW_HZ, _VOICE_HZ = (30.0, 200.0), (250.0, 3_000.0)
_MAX_AMPLITUDE = 16.0  # louder samples are clipped: no power overflows
_SILENT_DB, _BELOW_LOUDEST_DB = -70.0, -30.0  # a channel that is quieter than both carries nothing
_MIN_SURROUND, _RUMBLE_DB = 6, -20.0  # of so many channels, one with so much less in the range of voices is an LFE
_CANCELLED = 0.25  # of the channels' power: unrelated channels add up to 1, equal ones to their number
_MAX_CANCELLED_SHARE = 0.1  # of the sound of all steps
_ENOUGH_S = 60.0  # of sound in which every channel carries some and nothing cancels


class MixSurvey:
    """Survey of a recording's channels. The size of blocks changes nothing; memory is constant."""

    def __init__(self, rate_hz: int, n_channels: int) -> None:
        """Raises UsageError for a rate below 4 kHz, or no channel."""
        if rate_hz < 4_000 or n_channels < 1:
            raise UsageError(f"expected 4000 Hz and 1 channel or more, found {rate_hz} Hz and {n_channels}")
        n = next_fast_len(round(_FRAME_S * rate_hz), real=True)
        self._window = (np.hanning(n + 2)[1:-1] ** 2).astype(np.float32)  # squared: rumble does not leak
        self._scale = 2.0 / (n * float(np.square(self._window, dtype=np.float64).sum()) * _FRAMES_PER_STEP)
        self._low, self._voice = (slice(*(round(hz * n / rate_hz) for hz in band)) for band in (_LOW_HZ, _VOICE_HZ))
        self._n_channels, self._step_s = n_channels, _FRAMES_PER_STEP * n / rate_hz
        self.is_settled = not 1 < n_channels <= MAX_CHANNELS
        size = 0 if self.is_settled else _FRAMES_PER_STEP * n
        self._buffer, self._n_buffered = np.zeros((n_channels, size), np.float32), 0
        self._loudest, self._rumble = np.zeros(n_channels), np.zeros(n_channels)  # power of any step, by channel
        self._amplitude, self._cancelled, self._sound_s = np.zeros(n_channels), 0.0, 0.0  # summed over steps

    def add(self, block: np.ndarray) -> None:  # (frames, channels) float32, full scale 1
        """Add the next samples of a recording; what comes after the survey is settled changes nothing."""
        while len(block) and not self.is_settled:
            taken = block[: self._buffer.shape[1] - self._n_buffered]
            self._buffer[:, self._n_buffered : self._n_buffered + len(taken)] = taken.T
            self._n_buffered += len(taken)
            block = block[len(taken) :]
            if self._n_buffered == self._buffer.shape[1]:
                self._add_step()

    def mixed(self) -> tuple[tuple[int, ...], str | None]:
        """Return the numbers of the channels to mix, empty for all, and in words what is wrong with them."""
        if self._n_buffered and not self.is_settled:
            self._buffer[:, self._n_buffered :] = 0.0
            self._add_step()
        if self._cancels():
            chosen = int(self._amplitude.argmax())
            return (chosen,), f"inverted: the channels cancel each other in the mix; channel {chosen} alone is analysed"
        carries = self._carries()
        return (() if carries.all() or not carries.any() else tuple(map(int, np.flatnonzero(carries)))), None

    def _add_step(self) -> None:
        signals = self._buffer.clip(-_MAX_AMPLITUDE, _MAX_AMPLITUDE)
        frames = signals.reshape(self._n_channels, _FRAMES_PER_STEP, -1) * self._window
        spectrum = rfft(frames, axis=2)
        low, voice = (_power(spectrum[:, :, band]) * self._scale for band in (self._low, self._voice))
        mixed = _power(spectrum[:, :, self._voice].sum(axis=0, keepdims=True))[0] * self._scale
        self._loudest, self._rumble = np.maximum(self._loudest, voice), np.maximum(self._rumble, low)
        amplitude = np.sqrt(voice)  # not power: who speaks softly counts, too
        self._amplitude = self._amplitude + amplitude
        self._cancelled += float(amplitude.sum()) if mixed < _CANCELLED * voice.sum() else 0.0
        self._sound_s += self._step_s if voice.sum() > _from_db(_SILENT_DB) else 0.0
        self._n_buffered = 0
        if self._sound_s >= _ENOUGH_S and self._carries().all():
            self.is_settled = not self._cancels()

    def _cancels(self) -> bool:
        return bool(self._cancelled > _MAX_CANCELLED_SHARE * self._amplitude.sum())

    def _carries(self) -> np.ndarray:
        """Tell of each channel whether it carries sound in the range of voices."""
        loudest = self._loudest.max()
        is_heard = (self._loudest > _from_db(_SILENT_DB)) | (self._loudest > _from_db(_BELOW_LOUDEST_DB) * loudest)
        if self._n_channels >= _MIN_SURROUND:
            threshold = _from_db(_RUMBLE_DB)
            is_heard &= (self._loudest > threshold * self._rumble) | (self._loudest > threshold * loudest)
        return np.asarray(is_heard & (self._loudest > 0))


def _power(spectrum: np.ndarray) -> np.ndarray:  # (channels, frames, bins)
    power: np.ndarray = (spectrum.real**2 + spectrum.imag**2).sum(axis=(1, 2), dtype=np.float64)
    return power


def _from_db(level_db: float) -> float:
    return float(10 ** (level_db / 10))
