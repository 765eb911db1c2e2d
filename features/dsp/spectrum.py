"""Power spectra of frames: tapers, and spectra of long waveforms in chunks of frames."""

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.dsp import frames
from features.dsp.batching import chunk_size

VERSION = "spectrum-3"
CHUNK_FRAMES = {"cpu": 1024, "cuda": 1 << 18}  # bounds memory; fits a core's cache, or fills a GPU


def chunk_frames(device: torch.device) -> int:
    """Return the number of frames, of all rows together, to work on at once."""
    return chunk_size(CHUNK_FRAMES, device)


def iter_chunks(
    waveform: Tensor,  # (batch, time)
    *,
    window: int,
    hop: int,
    overlap: int = 0,
) -> Iterator[Tensor]:  # each (batch, samples of some frames)
    """Yield the waveform, `chunk_frames` at a time; each but the first begins with the last's `overlap` frames."""
    width = frames.max_frames(waveform.shape[1], window=window, hop=hop)
    step = max(1, chunk_frames(waveform.device) // max(1, waveform.shape[0]))
    for first in range(0, width, step):
        last = min(first + step, width)
        yield waveform[:, max(0, first - overlap) * hop : (last - 1) * hop + window]


def fft_size(window: int) -> int:
    """Return the smallest power of two of `window` samples or more.

    >>> fft_size(320)
    512
    """
    return 1 << (window - 1).bit_length()


@lru_cache(maxsize=32)
def hann(window: int, device: torch.device) -> Tensor:
    """Make the periodic Hann window, (window,) float32; cached, not to be written into."""
    return torch.hann_window(window, periodic=True, device=device)


@lru_cache(maxsize=32)
def hamming(window: int, device: torch.device) -> Tensor:
    """Make the symmetric Hamming window, (window,) float32; cached, not to be written into."""
    return torch.hamming_window(window, periodic=False, device=device)


@lru_cache(maxsize=32)
def gauss(window: int, sigma: float, device: torch.device) -> Tensor:
    """Make a truncated Gaussian, standard deviation `sigma` half windows; (window,) float32, cached."""
    place = torch.linspace(-1, 1, window, dtype=torch.float64)
    return torch.exp(-0.5 * (place / sigma).square()).float().to(device)


def power_spectrum(
    waveform: Tensor,  # (batch, time), zero beyond each row's length (frames.zero_padding)
    *,
    taper: Tensor,  # (window,)
    hop: int,
    n_fft: int,
) -> Tensor:
    """Compute the power of the tapered frames, (batch, frames, n_fft // 2 + 1), not normalised; sizes in samples.

    The frame that starts at sample `t * hop` is row `t`: librosa's `center=False`, except that a window shorter than
    `n_fft` is padded behind and not on both sides. Raises UsageError when `n_fft` is shorter than the window.
    """
    window = len(taper)
    if n_fft < window:
        raise UsageError(f"expected n_fft of at least the window's {window} samples, found {n_fft}: raise n_fft")
    framed = frames.frame(waveform, window=window, hop=hop)
    tapered = framed.new_zeros(*framed.shape[:-1], n_fft)
    torch.mul(framed, taper, out=tapered[..., :window])
    return power_of_frames(tapered, n_fft=n_fft)


def power_of_frames(tapered: Tensor, *, n_fft: int) -> Tensor:
    """Compute the power of tapered frames (..., window): (..., n_fft // 2 + 1)."""
    spectrum: Tensor = torch.fft.rfft(tapered, n=n_fft)
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)


def parabola_peak(left: Tensor, centre: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return offset, in steps, and height of the top of a parabola through three neighbours, the middle one highest."""
    bend = (2 * centre - left - right).clamp_min(1e-20)
    shift = (0.5 * (right - left) / bend).clamp(-0.5, 0.5)
    return shift, centre + 0.25 * (right - left) * shift


def power_in_chunks(
    waveform: Tensor, *, taper: Tensor, hop: int, n_fft: int
) -> Iterator[Tensor]:  # each (batch, some frames, bins)
    """Yield `power_spectrum` a chunk of frames at a time, so that memory does not grow with the recording's length."""
    for chunk in iter_chunks(waveform, window=len(taper), hop=hop):
        yield power_spectrum(chunk, taper=taper, hop=hop, n_fft=n_fft)
