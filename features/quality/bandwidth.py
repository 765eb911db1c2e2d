"""Effective bandwidth of a recording: a file at 16 or 48 kHz may hold telephone speech.

A telephone, a resampler or a codec ends a band within some hundred Hz, and leaves nothing above but the noise of
storage. Speech, rooms and microphones fade slowly. So the band ends at the frequency above which the loud part of the
long-term spectrum falls off a cliff for good; without a cliff, at the highest frequency with stored content.
"""

import math

import numpy as np
from scipy.fft import next_fast_len, rfft

from data_contracts.errors import UsageError

VERSION = "bandwidth-1"
_FRAME_S = 0.032
_FRAMES_AT_ONCE = 32
_BINS_PER_BAND = 4  # in a band: 125 Hz
_MAX_HZ = 24_000.0  # of the search
_MIN_DB, _N_CLASSES = -130, 170  # the histograms' classes of 1 dB; dBFS
_MAX_AMPLITUDE = 16.0  # louder samples are clipped: no power overflows
_MIN_FRAME_DB = -80.0  # quieter frames are left out
_RARE_SHARE = 0.02  # of the frames: rarer sounds, as clicks, do not count
_LSB_DB = -101.1  # dBFS of the rounding to 16 bits, over all bands (Bennett, Bell Syst. Tech. J. 27, 1948)
_ABOVE_LSB_DB = 6.0  # that noise, in its louder frames
_CLIFF_DB = 20.0  # over the speech of tests/bench/bandwidth.py: 18 at most in a full band, 25 to 80 in a telephone's
_BANDS_BELOW, _BANDS_ACROSS = 4, 3  # bands before a cliff, and bands across it
_FIRST_BAND = 8  # no cliff is searched below 1 kHz, where a voice may well end
_SPUR_BANDS = 5  # narrower peaks are no content


class BandwidthMeter:
    """Meter of one channel's effective bandwidth. The size of blocks changes nothing; memory is constant."""

    def __init__(self, rate_hz: int) -> None:
        """Raises UsageError for a rate below 4 kHz."""
        if rate_hz < 4_000:
            raise UsageError(f"expected a rate of 4000 Hz or more, found {rate_hz}")
        n = next_fast_len(round(_FRAME_S * rate_hz), real=True)
        self._rate_hz, self._band_hz = rate_hz, _BINS_PER_BAND * rate_hz / n
        self._n_bands = int(min(rate_hz / 2, _MAX_HZ) / self._band_hz)
        self._window = _window(n)
        self._counts = np.zeros((self._n_bands, _N_CLASSES), np.int64)  # frames by band and level
        self._classes = np.arange(self._n_bands) * _N_CLASSES
        # The FFT rounds by how many rows it is given: always as many, so that cuts do not matter at all.
        self._buffer, self._n_buffered = np.zeros(_FRAMES_AT_ONCE * n, np.float32), 0
        self._has_counted = False

    def add(self, block: np.ndarray) -> None:  # (frames,) float32, full scale 1
        """Add the next samples of a recording."""
        while len(block):
            taken = block[: len(self._buffer) - self._n_buffered]
            self._buffer[self._n_buffered : self._n_buffered + len(taken)] = taken
            self._n_buffered += len(taken)
            block = block[len(taken) :]
            if self._n_buffered == len(self._buffer):
                self._counts += self._count(self._apply_window(), _FRAMES_AT_ONCE)
                self._n_buffered, self._has_counted = 0, True

    def bandwidth_hz(self) -> float | None:
        """Return Hz, to about 125 Hz, 24 kHz at most; None where no frame is loud enough (-80 dBFS)."""
        return _end_hz(self._counts + self._count_remaining(), self._band_hz, self._rate_hz)

    def _count_remaining(self) -> np.ndarray:
        """Count the frames in the buffer; a recording shorter than a frame counts as one."""
        n_frames = self._n_buffered // len(self._window)
        windowed = self._apply_window()
        if not n_frames and not self._has_counted and self._n_buffered:
            # Faded out where it ends: a step would look like content of all frequencies.
            part = self._buffer[: self._n_buffered].clip(-_MAX_AMPLITUDE, _MAX_AMPLITUDE)
            windowed[0, : len(part)] = part * _window(len(part))
            n_frames = 1
        return self._count(windowed, n_frames)

    def _apply_window(self) -> np.ndarray:
        frames: np.ndarray = self._buffer.reshape(_FRAMES_AT_ONCE, -1).clip(-_MAX_AMPLITUDE, _MAX_AMPLITUDE)
        frames *= self._window
        return frames

    def _count(self, windowed: np.ndarray, n_frames: int) -> np.ndarray:
        """Count the first `n_frames` rows by band and level: (bands, classes)."""
        spectrum = rfft(windowed, axis=1)[:n_frames, : _BINS_PER_BAND * self._n_bands]
        power = spectrum.real**2 + spectrum.imag**2
        bands = sum(power[:, first::_BINS_PER_BAND] for first in range(_BINS_PER_BAND)) + 1e-20
        audible = bands.sum(axis=1) > 10 ** (_MIN_FRAME_DB / 10)
        levels = (10 * np.log10(bands[audible]) - _MIN_DB).clip(0, _N_CLASSES - 1).astype(np.int64)
        counts = np.bincount((levels + self._classes).ravel(), minlength=self._counts.size)
        return counts.reshape(self._counts.shape)


def _window(n: int) -> np.ndarray:
    """Return Hann's window, scaled so that the one-sided power sums to the mean square (of the frames on average)."""
    window = np.hanning(n + 2)[1:-1]
    return (window * math.sqrt(2 / (n * np.square(window).sum()))).astype(np.float32)


def _end_hz(counts: np.ndarray, band_hz: float, rate_hz: float) -> float | None:
    n_frames = counts[0].sum()
    if not n_frames:
        return None
    stored_db = _LSB_DB + 10 * math.log10(2 * band_hz / rate_hz) + _ABOVE_LSB_DB
    louder = counts[:, ::-1].cumsum(axis=1)[:, ::-1]  # frames in this class or above
    loud_db = _MIN_DB + np.maximum((louder > _RARE_SHARE * n_frames).sum(axis=1) - 1.0, 0.0)
    loud_db = np.maximum(loud_db, stored_db)
    end = int(np.flatnonzero(loud_db > stored_db).max(initial=-1)) + 1
    return min(end, _cliff(loud_db)) * band_hz


def _cliff(loud_db: np.ndarray) -> int:
    """Return the number of bands below the cliff; all where there is none."""
    padded = np.pad(loud_db, _SPUR_BANDS // 2, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, _SPUR_BANDS), axis=1)
    edges = np.arange(_FIRST_BAND, len(smooth) - _BANDS_ACROSS)
    below = np.convolve(smooth, np.ones(_BANDS_BELOW) / _BANDS_BELOW, mode="valid")[edges - _BANDS_BELOW]
    above = np.maximum.accumulate(smooth[::-1])[::-1][edges + _BANDS_ACROSS]
    drop = below - above
    if not len(edges) or drop.max() < _CLIFF_DB:
        return len(loud_db)
    steepest = int(drop.argmax())
    foot = int(edges[steepest]) + _BANDS_ACROSS
    return int(np.flatnonzero(loud_db[:foot] > above[steepest] + drop[steepest] / 2).max()) + 1
