"""Programme loudness of a recording by ITU-R BS.1770-5 (2023), a block at a time.

The standard prints its K-weighting for 48 kHz alone. For another rate each of its two biquads keeps its poles (the
matched z-transform) and gets the numerator that has the printed filter's magnitude at three frequencies, after
Vicanek, Matched Second Order Digital Filters (2016). At 48 kHz that gives the printed numbers back, and at 8 kHz it is
0.02 dB off them at most, where the usual bilinear transform is off by 0.3 dB.
"""

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.signal import sosfilt

from data_contracts.errors import UsageError

VERSION = "loudness-1"
_STANDARD_HZ = 48_000
_SHELF = (  # the standard's tables 1 and 2, at 48 kHz: numerator, denominator
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_MIN_RATE_HZ = 4_000  # the shelf rises up to 2 kHz
_SURROUND = 1.41
_WEIGHTS = {  # of other numbers of channels each weighs 1; orders as in WAV files, the LFE left out
    5: (1.0, 1.0, 1.0, _SURROUND, _SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SURROUND, _SURROUND),
}
_STEPS_PER_BLOCK = 4  # in a gating block of 400 ms: an overlap of 75 %
_STEPS_AT_ONCE = 16  # filtered: what fits a core's cache
_OFFSET_DB = -0.691
_ABSOLUTE_LUFS, _RELATIVE_LU = -70.0, -10.0
_MIN_STATE = 1e-100  # smaller filter states are set to 0: denormal numbers would make silence slow


class LoudnessMeter:
    """Meter of integrated loudness. The size of blocks changes nothing, to 1e-9 LU.

    Memory: 288 kB an hour. One channel counts once: the same signal in two channels is 3 LU louder.
    """

    def __init__(self, rate_hz: int, n_channels: int) -> None:
        """Raises UsageError for a rate below 4 kHz, or no channel."""
        if n_channels < 1:
            raise UsageError(f"expected 1 channel or more, found {n_channels}")
        self._sos = k_weighting(rate_hz)
        self._state = np.zeros((len(self._sos), n_channels, 2))
        self._weights = np.array(_WEIGHTS.get(n_channels, (1.0,) * n_channels))
        self._step = round(rate_hz / 10)  # samples
        self._steps = array("d")  # the weighted sum of squares in each 100 ms
        self._partial, self._n_partial = 0.0, 0  # the same of the step that is not yet full, and its samples

    def add(self, block: np.ndarray) -> None:  # (frames, channels) float32, full scale 1
        """Add the next samples of a recording."""
        first = 0
        while first < len(block):
            end = first + _STEPS_AT_ONCE * self._step - self._n_partial
            self._add(block[first:end])
            first = end

    def integrated_lufs(self) -> float | None:
        """Return LUFS; None where nothing passes the gate at -70 LUFS, as in silence.

        A recording of less than 400 ms is measured as one block over what there is of it.
        """
        steps = np.array(self._steps)
        if len(steps) < _STEPS_PER_BLOCK:
            n_samples = len(steps) * self._step + self._n_partial
            powers = np.array([(steps.sum() + self._partial) / max(1, n_samples)])
        else:
            powers = np.lib.stride_tricks.sliding_window_view(steps, _STEPS_PER_BLOCK).sum(axis=1) / (
                _STEPS_PER_BLOCK * self._step
            )
        powers = powers[powers > _power(_ABSOLUTE_LUFS)]
        if not len(powers):
            return None
        return _lufs(powers[powers > powers.mean() * 10 ** (_RELATIVE_LU / 10)].mean())

    def _add(self, block: np.ndarray) -> None:
        """Add at most as many samples as fill `_STEPS_AT_ONCE` steps."""
        samples = np.ascontiguousarray(block.T, dtype=np.float64)
        weighted, self._state = sosfilt(self._sos, samples, axis=1, zi=self._state)
        self._state[np.abs(self._state) < _MIN_STATE] = 0.0
        missing = self._step - self._n_partial
        self._count(weighted[:, :missing])
        weighted = weighted[:, missing:]
        n_steps = weighted.shape[1] // self._step
        whole = weighted[:, : n_steps * self._step].reshape(len(weighted), n_steps, self._step)
        self._steps.extend(self._weights @ np.vecdot(whole, whole))
        self._count(weighted[:, n_steps * self._step :])

    def _count(self, weighted: np.ndarray) -> None:
        """Add to the step that is not yet full."""
        self._partial += float(self._weights @ np.vecdot(weighted, weighted))
        self._n_partial += weighted.shape[1]
        if self._n_partial == self._step:
            self._steps.append(self._partial)
            self._partial, self._n_partial = 0.0, 0


def k_weighting(rate_hz: float) -> np.ndarray:  # (2, 6)
    """Return the standard's high shelf and high-pass at `rate_hz` as second-order sections. UsageError below 4 kHz.

    >>> k_weighting(48_000)[0].round(6).tolist()
    [1.535125, -2.691696, 1.198393, 1.0, -1.690659, 0.732481]
    """
    if rate_hz < _MIN_RATE_HZ:
        raise UsageError(f"expected a rate of {_MIN_RATE_HZ} Hz or more, found {rate_hz}")
    return np.array([_at_rate(*_SHELF, 1_000.0, rate_hz), _at_rate(*_HIGH_PASS, 40.0, rate_hz)])


@lru_cache(maxsize=32)  # the same few rates come again with every recording
def _at_rate(
    numerator: tuple[float, ...], denominator: tuple[float, ...], match_hz: float, rate_hz: float
) -> np.ndarray:
    """Convert a 48 kHz biquad to another rate: b0 b1 b2 a0 a1 a2."""
    poles = np.poly(np.roots(denominator) ** (_STANDARD_HZ / rate_hz)).real
    at_hz = np.array([0.0, match_hz, 0.4 * min(rate_hz, _STANDARD_HZ)])
    standard, own = (2 * np.pi * at_hz / hz for hz in (_STANDARD_HZ, rate_hz))
    target = _magnitude(numerator, standard) / _magnitude(denominator, standard) * _magnitude(poles, own)
    # |b0 + b1 z^-1 + b2 z^-2|^2 is linear in the squares of b at 0 Hz, b at half the rate, and in -4 b0 b2.
    high = np.sin(own / 2) ** 2
    low2, high2, product = np.linalg.solve(np.stack([1 - high, high, 4 * high * (1 - high)], axis=1), target)
    at_0, at_half = math.sqrt(max(low2, 0.0)), math.sqrt(high2)
    outer = (at_0 + at_half) / 2
    b0 = (outer + math.sqrt(max(outer**2 + product, 0.0))) / 2
    return np.array([b0, (at_0 - at_half) / 2, -product / (4 * b0), *poles])


def _magnitude(coefficients: Sequence[float] | np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return the squared magnitude of a polynomial in z^-1."""
    return np.abs(np.polyval(np.asarray(coefficients)[::-1], np.exp(-1j * angle))) ** 2


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_DB) / 10))


def _lufs(power: float) -> float:
    return float(10 * np.log10(power) + _OFFSET_DB)
