"""What one frame's power spectrum says about the voice: level, balance, tilt, change."""

from functools import lru_cache

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features import frames


@lru_cache(maxsize=32)
def hann(window: int, device: torch.device) -> Tensor:
    """The periodic Hann window, (window,) float32: made once a size and device; do not write into it."""
    return torch.hann_window(window, periodic=True, device=device)


def power_spectrum(
    waveform: Tensor,  # (batch, time), zero beyond each row's length (frames.silence_padding)
    *,
    window: int,
    hop: int,
    n_fft: int,
) -> Tensor:
    """Power of the Hann-windowed frames, (batch, frames, n_fft // 2 + 1), not normalised; sizes in samples.

    The frame that starts at sample `t * hop` is row `t`: librosa's `center=False`, except that a window shorter than
    `n_fft` is padded behind and not on both sides. Raises UsageError when `n_fft` is shorter than the window.
    """
    if n_fft < window:
        raise UsageError(f"expected n_fft of at least the window's {window} samples, found {n_fft}: raise n_fft")
    framed = frames.split(waveform, window=window, hop=hop) * hann(window, waveform.device)
    spectrum: Tensor = torch.fft.rfft(framed, n=n_fft)
    return spectrum.real.square() + spectrum.imag.square()
