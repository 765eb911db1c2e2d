"""Windows of 32 s at 16 kHz, prepared from a channel's samples at any rate.

A window depends on its own samples and a second on either side alone, so it is the same whether a recording is read
whole, in pieces, or from the middle.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from features.decode.config import AudioConfig

WINDOW_S = 32  # whole chunks of the VAD
CONTEXT_S = 1  # far more than the filters' memory


@dataclass(frozen=True)
class Window:
    """A stretch of one channel, prepared for analysis."""

    channel: int
    start: int  # its first sample's number, at the configuration's rate
    samples: np.ndarray  # (time,) float32


class Windower:
    """Cuts one channel's samples, as they are decoded, into windows in order, from number `first` on.

    The pushed samples begin at `first_frame(first, rate_hz)`.
    """

    def __init__(
        self, channel: int, rate_hz: int, config: AudioConfig, *, first: int = 0, gain_db: float = 0.0
    ) -> None:
        self._channel, self._rate_hz, self._config = channel, rate_hz, config
        self._gain = np.float32(10 ** (gain_db / 20))
        self._next = first
        self._buffer_start = first_frame(first, rate_hz)  # the frame that `_buffer` begins with
        self._buffer = np.empty(0, np.float32)

    def push(self, samples: np.ndarray) -> Iterator[Window]:
        """Add (frames,) float32 and yield the windows that they complete."""
        self._buffer = np.concatenate([self._buffer, samples]) if len(self._buffer) else samples
        while self._buffer_start + len(self._buffer) >= self._end() + CONTEXT_S * self._rate_hz:
            yield self._window(self._end())

    def finish(self) -> Iterator[Window]:
        """Yield the remaining windows after the last samples."""
        end = self._buffer_start + len(self._buffer)
        while self._next * WINDOW_S * self._rate_hz < end:
            yield self._window(min(self._end(), end))

    def _end(self) -> int:
        return (self._next + 1) * WINDOW_S * self._rate_hz

    def _window(self, end: int) -> Window:
        rate_hz, out_hz = self._rate_hz, self._config.sample_rate
        begin = self._next * WINDOW_S * rate_hz
        context = self._buffer[: end - self._buffer_start + CONTEXT_S * rate_hz]
        samples = self._prepare(context, n_before=begin - self._buffer_start, n_frames=end - begin)
        window = Window(self._channel, self._next * WINDOW_S * out_hz, samples)
        self._next += 1
        start = first_frame(self._next, rate_hz)
        self._buffer, self._buffer_start = self._buffer[start - self._buffer_start :], start
        return window

    def _prepare(self, samples: np.ndarray, *, n_before: int, n_frames: int) -> np.ndarray:
        config, rate_hz, out_hz = self._config, self._rate_hz, self._config.sample_rate
        if config.dc == "high_pass":
            from features.decode.rumble import remove_rumble

            samples = remove_rumble(samples, rate_hz)
        if rate_hz != out_hz:
            samples = soxr.resample(samples, rate_hz, out_hz, quality=config.resampler)
        if config.denoise == "wiener":
            from features.decode.conditioning import DenoiseConfig, denoise

            samples = denoise(samples, out_hz, config=DenoiseConfig())
        first, n_wanted = n_before * out_hz // rate_hz, round(n_frames * out_hz / rate_hz)
        samples = samples[first : first + n_wanted]
        if len(samples) < n_wanted:
            samples = np.pad(samples, (0, n_wanted - len(samples)))
        return np.ascontiguousarray(samples * self._gain if self._gain != 1 else samples, np.float32)


def first_frame(window: int, rate_hz: int) -> int:
    """Return the first frame that window number `window` needs."""
    return max(0, (window * WINDOW_S - CONTEXT_S) * rate_hz)


def concatenate(windows: list[Window]) -> np.ndarray:
    """Join consecutive windows of one channel: (time,)."""
    return windows[0].samples if len(windows) == 1 else np.concatenate([window.samples for window in windows])
