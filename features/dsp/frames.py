"""Framing of waveforms, masks of valid frames, and masked statistics.

A frame is valid when it lies wholly inside its row's `lengths`; a row shorter than one window has one, zero-padded.
Samples beyond `lengths` are taken as zero, so neither padding nor neighbours change a row.
"""

import torch
from torch import Tensor

from data_contracts.errors import UsageError


def to_samples(seconds: float, sample_rate: int) -> int:
    """Convert `seconds` to a whole number of samples, at least one.

    >>> to_samples(0.025, 16_000)
    400
    """
    return max(1, round(seconds * sample_rate))


def n_frames(lengths: Tensor, *, window: int, hop: int) -> Tensor:
    """Return the number of valid frames, `max(1, 1 + (length - window) // hop)`, (batch,) int64; sizes in samples.

    >>> n_frames(torch.tensor([0, 399, 400, 560]), window=400, hop=160).tolist()
    [1, 1, 1, 2]
    """
    return (1 + torch.div(lengths.long() - window, hop, rounding_mode="floor")).clamp_min(1)


def max_frames(time: int, *, window: int, hop: int) -> int:
    """Return the number of frames that fit into `time` samples: the width of every frame-wise tensor."""
    return max(1, 1 + (time - window) // hop)


def zero_padding(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Return `waveform` (batch, time) with zeros beyond `lengths` (batch,).

    Raises UsageError when the batch is empty, the shapes do not fit, or a length is negative or beyond `time`.
    """
    if waveform.ndim != 2 or lengths.shape != waveform.shape[:1]:
        raise UsageError(
            f"expected waveform (batch, time) and lengths (batch,), found {tuple(waveform.shape)} and "
            f"{tuple(lengths.shape)}: add the batch dimension, and one length a row"
        )
    if not waveform.is_floating_point():
        raise UsageError(f"expected samples as floats in [-1, 1], found {waveform.dtype}: divide by its full scale")
    if len(waveform) == 0:
        raise UsageError("expected at least one row, found an empty batch: leave it out")
    time = waveform.shape[1]
    if bool(((lengths < 0) | (lengths > time)).any()):
        raise UsageError(
            f"expected lengths from 0 to {time} samples, found {lengths.min()} to {lengths.max()}: "
            "pass valid samples a row"
        )
    return torch.where(length_mask(lengths, time), waveform, waveform.new_zeros(()))


def nan_to_zero(waveform: Tensor, *, limit: float = 1e3) -> Tensor:
    """Return `waveform` with 0 in place of NaN and infinity, clipped to +-`limit` so that no power overflows."""
    return waveform.nan_to_num(0.0, 0.0, 0.0).clamp(-limit, limit)


def frame(waveform: Tensor, *, window: int, hop: int) -> Tensor:
    """Cut `waveform` (batch, time) into frames: a view (batch, frames, window), zero-padded where not even one fits."""
    missing = window - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (0, missing))
    return waveform.unfold(-1, window, hop)


def length_mask(n_valid: Tensor, size: int) -> Tensor:
    """Mark the first `n_valid` (batch,) positions of each row: (batch, size) bool.

    >>> length_mask(torch.tensor([1, 3]), 3).tolist()
    [[True, False, False], [True, True, True]]
    """
    return torch.arange(size, device=n_valid.device) < n_valid[:, None]


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the last dimension where `valid` (broadcast to `values`) is true; 0 where it never is."""
    total = torch.where(valid, values, 0.0).sum(-1)
    return total / valid.sum(-1).clamp_min(1)


def masked_sd(values: Tensor, valid: Tensor) -> Tensor:
    """Return the population standard deviation over the last dimension where `valid` is true; 0 for fewer than two."""
    centred = values - masked_mean(values, valid)[..., None]
    return masked_mean(centred.square(), valid).sqrt()


def masked_quantiles(values: Tensor, valid: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Return quantiles over the last dimension where `valid` is true: (..., len(quantiles)).

    `quantiles` in [0, 1], linearly interpolated as NumPy does; 0 for a row without a valid value. One sort serves all.
    """
    valid = valid.expand_as(values)
    n_valid = valid.sum(-1, keepdim=True)
    ordered = torch.where(valid, values, torch.inf).sort(dim=-1).values
    position = (n_valid - 1).clamp_min(0) * torch.tensor(quantiles, device=values.device, dtype=values.dtype)
    below = position.long()
    above = torch.minimum(below + 1, (n_valid - 1).clamp_min(0))
    low, high = ordered.gather(-1, below), ordered.gather(-1, above)
    return torch.where(n_valid > 0, low + (high - low) * (position - below), 0.0)
