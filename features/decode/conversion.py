"""Conversion of a part's samples to the rate and the channels of the recording that it belongs to."""

import numpy as np
import soxr

from features.decode import channels


class Conversion:
    """Resamples blocks as they come; of another number of channels, each gets the mix.

    After `finish`, as many frames came out as `n_converted` says of those that went in.
    """

    def __init__(self, from_hz: int, to_hz: int, n_channels: int) -> None:
        self._rates, self._n_channels, self._n_in, self._n_out = (from_hz, to_hz), n_channels, 0, 0
        self._resampler = soxr.ResampleStream(from_hz, to_hz, n_channels) if from_hz != to_hz else None

    def push(self, block: np.ndarray) -> np.ndarray:
        """Convert (frames, channels) float32: those that are ready."""
        if block.shape[1] != self._n_channels:
            block = np.repeat(channels.mix(block)[:, None], self._n_channels, axis=1)
        self._n_in += len(block)
        return block if self._resampler is None else self._count(self._resampler.resample_chunk(block))

    def finish(self) -> np.ndarray:
        """Return the rest, after the last block."""
        empty = np.empty((0, self._n_channels), np.float32)
        if self._resampler is None:
            return empty
        rest = self._resampler.resample_chunk(empty, last=True).reshape(-1, self._n_channels)
        n_missing = max(0, n_converted(self._n_in, *self._rates) - self._n_out)
        return np.pad(rest[:n_missing], ((0, n_missing - len(rest[:n_missing])), (0, 0)))

    def _count(self, block: np.ndarray) -> np.ndarray:
        self._n_out += len(block)
        return block.reshape(-1, self._n_channels)


def n_converted(n_frames: int, from_hz: int, to_hz: int) -> int:
    """Return the number of frames after resampling."""
    return round(n_frames * to_hz / from_hz)
