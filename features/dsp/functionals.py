"""Functionals of descriptors over an utterance: means, spreads, percentiles, segments; slopes are in `slopes`.

As in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016). Series are (batch, frames) or (batch, series,
frames); a mask marks the frames that count. A functional over no frames is 0.
"""

import torch
from torch import Tensor

from features.dsp import frames

VERSION = "functionals-3"
MIN_SEGMENT_FRAMES = 3  # of valid frames in a row; shorter runs are no segments


def smooth(values: Tensor, valid: Tensor) -> Tensor:
    """Average each frame with its two neighbours; a row's first and last frame stand for their missing neighbour.

    `valid` (broadcast to `values`) marks the frames within each row's length; the result is 0 elsewhere.
    """
    behind = torch.cat([values[..., :1], values[..., :-1]], dim=-1)
    ahead = torch.cat([values[..., 1:], values[..., -1:]], dim=-1)
    has_next = torch.nn.functional.pad(valid[..., 1:], (0, 1))
    return torch.where(valid, (behind + values + torch.where(has_next, ahead, values)) / 3, 0.0)


def smooth_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Average each frame with those of its neighbours that are `valid` and not 0; the result is 0 elsewhere.

    The first frame stands for its missing neighbour.
    """
    valid = valid & (values != 0)
    values = torch.where(valid, values, 0.0)
    count = valid.to(values.dtype)
    total, n_near = values.clone(), count.clone()
    for series, near in ((total, values), (n_near, count)):
        series[..., 1:] += near[..., :-1]
        series[..., :1] += near[..., :1]
        series[..., :-1] += near[..., 1:]
    return torch.where(valid, total / n_near.clamp_min(1), 0.0)


def mean_and_cv(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and coefficient of variation, sd / mean with the mean's sign, 0 where the mean is 0."""
    mean, sd = frames.masked_mean(values, valid), frames.masked_sd(values, valid)
    return mean, torch.where(mean == 0, 0.0, sd / torch.where(mean == 0, 1.0, mean))


def percentiles(values: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """Return the 20th, 50th and 80th percentile, and the range from the first to the last."""
    low, middle, high = frames.masked_quantiles(values, valid, (0.2, 0.5, 0.8)).unbind(-1)
    return low, middle, high, high - low


def compact_voiced(values: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
    """Move the voiced frames of each row to its beginning: (batch, frames), 0 behind them, and their mask."""
    order = (~voiced).to(torch.uint8).argsort(dim=-1, stable=True)
    compacted = frames.length_mask(voiced.sum(-1), values.shape[-1])
    return torch.where(compacted, values.gather(-1, order), 0.0), compacted


def segment_statistics(
    active: Tensor,  # (batch, frames) bool
    valid: Tensor,  # (batch, frames) bool, the frames of each row that count, at its beginning
    *,
    hop_s: float,
) -> tuple[Tensor, Tensor, Tensor]:  # each (batch,)
    """Count the segments, runs of active frames, and return the mean and sd of their lengths in seconds.

    A gap of one frame does not end a segment, and a run of one or two frames is no segment; a length is from the first
    frame to the last.
    """
    active = active & valid
    gaps = torch.nn.functional.pad(active[:, :-2] & ~active[:, 1:-1] & active[:, 2:], (1, 1))[:, : active.shape[1]]
    active = active | gaps
    ends = active & ~torch.nn.functional.pad(active[:, 1:], (0, 1))
    index = torch.arange(active.shape[-1], device=active.device).expand(active.shape)
    last_gap = torch.where(active, -1, index).cummax(-1).values
    n_frames = index - last_gap
    ends &= n_frames >= MIN_SEGMENT_FRAMES
    length_s = (n_frames - 1) * hop_s
    return ends.sum(-1), frames.masked_mean(length_s, ends), frames.masked_sd(length_s, ends)
