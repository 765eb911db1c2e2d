"""From a channel's samples, at whatever rate, to prepared windows of 32 s at 16 kHz.

A window is computed from its own samples and a second on either side, and from nothing else: so it is the same whether
a recording is read whole, in pieces, or from the middle.
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
    """A stretch of one channel, ready for what listens."""

    channel: int
    start: int  # its first sample's number, at the configuration's rate
    samples: np.ndarray  # (time,) float32


class Windower:
    """Takes one channel's samples as they are decoded, and gives its windows in order, from number `first` on.

    What is pushed begins at `first_frame(first, rate_hz)`.
    """

    def __init__(
        self, channel: int, rate_hz: int, config: AudioConfig, *, first: int = 0, gain_db: float = 0.0
    ) -> None:
        self._channel, self._rate_hz, self._config = channel, rate_hz, config
        self._gain = np.float32(10 ** (gain_db / 20))
        self._next = first
        self._at = first_frame(first, rate_hz)  # the frame that `_held` begins with
        self._held = np.empty(0, np.float32)

    def push(self, samples: np.ndarray) -> Iterator[Window]:
        """(frames,) float32: gives the windows that are complete with them."""
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        while self._at + len(self._held) >= self._end() + CONTEXT_S * self._rate_hz:
            yield self._window(self._end())

    def finish(self) -> Iterator[Window]:
        """The windows that are left when there are no more samples."""
        end = self._at + len(self._held)
        while self._next * WINDOW_S * self._rate_hz < end:
            yield self._window(min(self._end(), end))

    def _end(self) -> int:
        return (self._next + 1) * WINDOW_S * self._rate_hz

    def _window(self, end: int) -> Window:
        rate_hz, out_hz = self._rate_hz, self._config.sample_rate
        begin = self._next * WINDOW_S * rate_hz
        context = self._held[: end - self._at + CONTEXT_S * rate_hz]
        samples = self._prepare(context, n_before=begin - self._at, n_frames=end - begin)
        window = Window(self._channel, self._next * WINDOW_S * out_hz, samples)
        self._next += 1
        kept = first_frame(self._next, rate_hz)
        self._held, self._at = self._held[kept - self._at :], kept
        return window

    def _prepare(self, samples: np.ndarray, *, n_before: int, n_frames: int) -> np.ndarray:
        config, rate_hz, out_hz = self._config, self._rate_hz, self._config.sample_rate
        if config.dc == "high_pass":
            from features.decode.conditioning import remove_dc

            samples = remove_dc(samples, rate_hz)
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
    """The first frame that window number `window` needs."""
    return max(0, (window * WINDOW_S - CONTEXT_S) * rate_hz)


def concatenate(windows: list[Window]) -> np.ndarray:
    """(time,) of consecutive windows of one channel."""
    return windows[0].samples if len(windows) == 1 else np.concatenate([window.samples for window in windows])
