"""From descriptors by frame to numbers by utterance: means, spreads, percentiles, segments; slopes are in `turns`.

As in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016). Series are (batch, frames) or (batch, series,
frames); what a row's own frames are is said by a mask. What has nothing to be taken over is 0.
"""

import torch
from torch import Tensor

from features.dsp import frames

VERSION = "functionals-3"
SHORTEST = 3  # frames that make a stretch


def smoothed(values: Tensor, own: Tensor) -> Tensor:
    """The mean of each frame and its two neighbours; a row's first and last frame stand for their missing neighbour.

    `own` (broadcast to `values`) holds for each row's own frames, at its beginning; 0 elsewhere.
    """
    behind = torch.cat([values[..., :1], values[..., :-1]], dim=-1)
    ahead = torch.cat([values[..., 1:], values[..., -1:]], dim=-1)
    goes_on = torch.nn.functional.pad(own[..., 1:], (0, 1))
    return torch.where(own, (behind + values + torch.where(goes_on, ahead, values)) / 3, 0.0)


def smoothed_among(values: Tensor, valid: Tensor) -> Tensor:
    """The mean of each frame and its neighbours, as far as they are `valid` and not 0; 0 elsewhere.

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
    """Mean and coefficient of variation, sd / mean with the mean's sign; the latter 0 where the mean is."""
    mean, sd = frames.masked_mean(values, valid), frames.masked_sd(values, valid)
    return mean, torch.where(mean == 0, 0.0, sd / torch.where(mean == 0, 1.0, mean))


def percentiles(values: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """The 20th, 50th and 80th percentile, and the range from the first to the last."""
    low, middle, high = frames.masked_quantiles(values, valid, (0.2, 0.5, 0.8)).unbind(-1)
    return low, middle, high, high - low


def closed_up(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, frames) with the valid frames of each row moved together at its beginning, and their mask."""
    order = (~valid).to(torch.uint8).argsort(dim=-1, stable=True)
    together = frames.length_mask(valid.sum(-1), values.shape[-1])
    return torch.where(together, values.gather(-1, order), 0.0), together


def segments(
    valid: Tensor,  # (batch, frames) bool
    own: Tensor,  # (batch, frames) bool, each row's own frames, at its beginning
    *,
    hop_s: float,
) -> tuple[Tensor, Tensor, Tensor]:  # each (batch,)
    """How many stretches of valid frames there are, and the mean and sd of their lengths in seconds.

    A gap of one frame is none, a stretch of one or two frames neither; a length is from the first frame to the last.
    """
    valid = valid & own
    inner = torch.nn.functional.pad(valid[:, :-2] & ~valid[:, 1:-1] & valid[:, 2:], (1, 1))[:, : valid.shape[1]]
    valid = valid | inner
    ends = valid & ~torch.nn.functional.pad(valid[:, 1:], (0, 1))
    place = torch.arange(valid.shape[-1], device=valid.device).expand(valid.shape)
    last_gap = torch.where(valid, -1, place).cummax(-1).values
    n_frames = place - last_gap
    ends &= n_frames >= SHORTEST
    length_s = (n_frames - 1) * hop_s
    return ends.sum(-1), frames.masked_mean(length_s, ends), frames.masked_sd(length_s, ends)
