"""Removal of all that lies below a voice: offset, rumble, the mains' hum."""

import functools

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import firwin, kaiserord

REACH_S = 0.25  # a sample of the result depends on no other farther away
_STOP_HZ, _PASS_HZ = 61.0, 75.0  # above the mains' 60 Hz; the deepest voices lose their fundamental, not their pitch
_REJECTION_DB = 90.0
_HELD_S = 0.02
_BLOCK_TAPS = 8  # blocks of this many kernels: memory stays small at any rate


def remove_rumble(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return (time,) float32 without what is below 61 Hz (by 90 dB), and as it was from 75 Hz on; the length is kept.

    A low-pass (linear phase, Kaiser's window) finds what is subtracted, so that nothing is shifted in time. Beyond its
    ends the signal counts as mirrored: a constant becomes 0 throughout. So does a constant stretch of 20 ms or more: a
    muted line stays digital silence.
    """
    if not len(samples):
        return samples.copy()
    n_taps, n_fft, response = _low_pass(rate_hz)
    mirrored, hop = np.pad(samples, n_taps // 2, mode="reflect"), n_fft - n_taps + 1
    found = np.empty(len(samples), np.float32)
    for begin in range(0, len(samples), hop):
        piece = mirrored[begin : begin + n_fft].astype(np.float64)
        low = irfft(rfft(piece, n_fft) * response, n_fft)[n_taps - 1 :]
        kept = samples[begin : begin + hop]
        found[begin : begin + hop] = kept - low[: len(kept)]
    found[_is_held(samples, round(_HELD_S * rate_hz))] = 0.0
    return found


def _is_held(samples: np.ndarray, n_least: int) -> np.ndarray:
    """Mark the samples, (time,) bool, of stretches that are constant for so many or more."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(samples)) + 1, [len(samples)]])
    lengths = np.diff(edges)
    return np.repeat(lengths >= n_least, lengths)


@functools.lru_cache(maxsize=8)
def _low_pass(rate_hz: int) -> tuple[int, int, np.ndarray]:
    """Return the low-pass: its taps, an odd number whose sum is 1; the size of its transform; its (bins,) response."""
    n_taps, beta = kaiserord(_REJECTION_DB, (_PASS_HZ - _STOP_HZ) / (rate_hz / 2))
    n_taps |= 1
    taps = firwin(n_taps, (_STOP_HZ + _PASS_HZ) / 2, window=("kaiser", beta), fs=rate_hz)
    n_fft = next_fast_len(_BLOCK_TAPS * n_taps, real=True)
    return n_taps, n_fft, rfft(taps, n_fft)
