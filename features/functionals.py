"""From descriptors by frame to numbers by utterance: means, spreads, percentiles, slopes, segments.

As in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016). Series are (batch, frames) or (batch, series,
frames); what a row's own frames are is said by a mask. What has nothing to be taken over is 0.
"""

import torch
from torch import Tensor

from features import frames

VERSION = "functionals-2"
TURN = 0.1  # of a series' range: a smaller swing is no turn
_REACH = 12  # a turn is looked for within 2 ** (_REACH + 1) frames to either side


def smoothed(values: Tensor, valid: Tensor) -> Tensor:
    """The mean of each frame and its neighbours, as far as they are `valid`; 0 elsewhere."""
    values = torch.where(valid, values, 0.0)
    total = values.clone()
    count = valid.to(values.dtype)
    n_near = count.clone()
    for series, near in ((total, values), (n_near, count)):
        series[..., 1:] += near[..., :-1]
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
    together = frames.mask(valid.sum(-1), values.shape[-1])
    return torch.where(together, values.gather(-1, order), 0.0), together


def slopes(
    values: Tensor,  # (batch, frames)
    valid: Tensor,  # (batch, frames) bool, each row's at its beginning
    *,
    hop_s: float,
) -> tuple[Tensor, ...]:  # each (batch,), per second: mean and sd of the rises, mean and sd of the falls
    """How steeply the series rises and falls from turn to turn; falls count positive."""
    turns = turning_points(values, valid)
    place = torch.arange(values.shape[-1], device=values.device).expand_as(values)
    so_far = torch.where(turns, place, -1).cummax(-1).values
    before = torch.nn.functional.pad(so_far[:, :-1], (1, 0), value=-1)
    ends = turns & (before >= 0)
    change = values - values.gather(-1, before.clamp_min(0))
    slope = change / ((place - before).clamp_min(1) * hop_s)
    rise, fall = ends & (change > 0), ends & (change < 0)
    return (
        frames.masked_mean(slope, rise),
        frames.masked_sd(slope, rise),
        frames.masked_mean(-slope, fall),
        frames.masked_sd(-slope, fall),
    )


def peaks(values: Tensor, valid: Tensor) -> Tensor:
    """(batch,) how often the series turns from rising to falling."""
    up = torch.nn.functional.pad(values[:, 1:] > values[:, :-1], (1, 0))
    return (turning_points(values, valid) & up).sum(-1)


def segments(
    valid: Tensor,  # (batch, frames) bool
    *,
    hop_s: float,
) -> tuple[Tensor, Tensor, Tensor]:  # each (batch,)
    """How many stretches of consecutive valid frames there are, and the mean and sd of their lengths in seconds."""
    ahead = torch.nn.functional.pad(valid, (0, 1))
    ends = valid & ~ahead[:, 1:]
    place = torch.arange(valid.shape[-1], device=valid.device).expand(valid.shape)
    last_gap = torch.where(valid, -1, place).cummax(-1).values
    length_s = (place - last_gap) * hop_s
    return ends.sum(-1), frames.masked_mean(length_s, ends), frames.masked_sd(length_s, ends)


def turning_points(values: Tensor, valid: Tensor) -> Tensor:
    """Where (batch, frames) the series turns by more than TURN of its range, both ways or at an end.

    A maximum is a turn when the series falls from it far enough, to either side, before it gets any higher; the first
    and the last turn have one such side and the series' end on the other. Minima likewise.
    """
    high = torch.where(valid, values, -torch.inf).amax(-1, keepdim=True)
    low = torch.where(valid, values, torch.inf).amin(-1, keepdim=True)
    swing = TURN * (high - low)
    both = torch.stack([values, -values])
    falls_behind, free_behind = _falls_ahead(both.flip(-1), valid.flip(-1), swing, ties_stop=True)
    falls_behind, free_behind = falls_behind.flip(-1), free_behind.flip(-1)
    falls, free = _falls_ahead(both, valid, swing, ties_stop=False)
    turns = (falls | free) & (falls_behind | free_behind) & (falls | falls_behind)
    return turns.any(0) & valid


def _falls_ahead(values: Tensor, valid: Tensor, swing: Tensor, *, ties_stop: bool) -> tuple[Tensor, Tensor]:
    """Whether the series falls by more than `swing` before it exceeds each frame's value, or never exceeds it at all.

    Blocks of 2 ** k frames, longest first, are stepped over as long as nothing in them exceeds the value.
    """
    n_frames = values.shape[-1]
    highest = [torch.where(valid, values, -torch.inf)]
    lowest = [torch.where(valid, values, torch.inf)]
    for level in range(min(_REACH, (n_frames - 1).bit_length())):
        size = 1 << level
        beyond = (0, size)
        ahead = torch.nn.functional.pad(highest[-1], beyond, value=-torch.inf)[..., size:]
        highest.append(torch.maximum(highest[-1], ahead))
        ahead = torch.nn.functional.pad(lowest[-1], beyond, value=torch.inf)[..., size:]
        lowest.append(torch.minimum(lowest[-1], ahead))
    at = torch.arange(1, n_frames + 1, device=values.device).expand(values.shape).clone()
    deepest = torch.full_like(values, torch.inf)
    for level in reversed(range(len(highest))):
        inside = at < n_frames
        here = at.clamp_max(n_frames - 1)
        top = highest[level].gather(-1, here)
        passes = inside & ((top < values) if ties_stop else (top <= values))
        deepest = torch.where(passes, torch.minimum(deepest, lowest[level].gather(-1, here)), deepest)
        at = torch.where(passes, at + (1 << level), at)
    last = torch.where(valid, torch.arange(1, n_frames + 1, device=values.device), 0).amax(-1, keepdim=True)
    return deepest < values - swing, at >= last
