"""Where a contour turns, and how steeply it rises and falls between its turns.

Slopes of F0 and loudness as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016), which leaves open
what a turn is. The rules below are what eGeMAPSv02 was seen to do on the contours of 2,150 clips, 19 of 20 of them to
the last digit. A rule looks back at the turn before it, so the extrema are visited in order, those of all rows at once.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from features.dsp import frames

VERSION = "turns-1"
MIN_SWING = 0.1  # of a row's range: what a contour has to move by for an extremum to be a turn
EDGE_FRAMES = 2  # frames at either end in which no turn is looked for


class ContourSlopes(NamedTuple):
    """What `contour_slopes` finds in (batch, frames)."""

    peaks: Tensor  # (batch, frames) bool
    rising: Tensor  # (batch, 2), per second: mean and standard deviation of the slopes that end in a peak
    falling: Tensor  # (batch, 2), of those that end in a valley, counted positive


def contour_slopes(
    values: Tensor,  # (batch, frames)
    valid: Tensor,  # (batch, frames) bool, each row's at its beginning
    *,
    hop_s: float,
) -> ContourSlopes:
    """Peaks, and the slopes from turn to turn, from the first frame on.

    A local maximum is a peak when it exceeds the local minimum before it, or the valley that the contour fell into by
    a swing, by one; a higher one takes its place until a valley follows. A minimum is a valley when the contour fell by
    a swing since the last turn; a lower one takes its place. What follows the last turn is one slope more: behind a
    peak it counts as a fall, with its sign (so that a fall counts negative), and to the mean only. A row without a turn
    has one slope, the change over the row a frame, again with its sign: of the rises if it rises, else of the falls.
    """
    found = _find_turns(*_extrema(values, valid), values=values, valid=valid)
    n_valid = valid.sum(-1)
    last = values.gather(-1, (n_valid - 1).clamp_min(0)[:, None])[:, 0]
    peaks = torch.zeros_like(valid).scatter_(-1, found.frame, found.is_peak)
    change = found.value - torch.cat([values[:, :1], found.value[:, :-1]], dim=1)
    before = torch.nn.functional.pad(found.frame[:, :-1], (1, 0))
    slope = change / ((found.frame - before).clamp_min(1) * hop_s)
    n_turns = found.is_turn.sum(-1)
    at_last = (n_turns - 1).clamp_min(0)[:, None]
    tail_frames = (n_valid - 1 - found.frame.gather(-1, at_last)[:, 0]).clamp_min(1)
    tail = (last - found.value.gather(-1, at_last)[:, 0]) / (tail_frames * hop_s)
    behind_peak = found.is_peak.gather(-1, at_last)[:, 0]
    turned = n_turns > 0
    whole = torch.where(n_valid > 0, last - values[:, 0], 0.0) / n_valid.clamp_min(1)
    rising = _summary(slope, found.is_peak, tail, turned & ~behind_peak)
    falling = _summary(-slope, found.is_turn & ~found.is_peak, tail, turned & behind_peak)
    rising[:, 0] = torch.where(turned, rising[:, 0], whole.clamp_min(0))
    falling[:, 0] = torch.where(turned, falling[:, 0], whole.clamp_max(0))
    return ContourSlopes(peaks, rising, falling)


class _Turns(NamedTuple):
    """Turns in order, (batch, turns); where there are fewer, frame 0 and neither."""

    frame: Tensor
    value: Tensor
    is_turn: Tensor
    is_peak: Tensor


def _summary(slope: Tensor, counts: Tensor, tail: Tensor, with_tail: Tensor) -> Tensor:
    """(batch, 2): mean over slopes and tail, and the root of the mean square off it, to which the tail adds 0."""
    n = (counts.sum(-1) + with_tail).clamp_min(1)
    mean = (torch.where(counts, slope, 0.0).sum(-1) + torch.where(with_tail, tail, 0.0)) / n
    off = torch.where(counts, (slope - mean[:, None]).square(), 0.0).sum(-1) / n
    return torch.stack([mean, off.sqrt()], dim=-1)


def _extrema(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Frames of the strict local maxima and minima of each row, in order, and how many there are."""
    left, centre, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    is_extremum = ((centre > left) & (centre > right)) | ((centre < left) & (centre < right))
    is_extremum = torch.nn.functional.pad(is_extremum, (1, 1))[:, : values.shape[1]]
    place = torch.arange(values.shape[1], device=values.device)
    inner = (place >= EDGE_FRAMES) & (place < valid.sum(-1, keepdim=True) - EDGE_FRAMES)
    is_extremum &= inner
    n_extrema = is_extremum.sum(-1)
    row, frame = is_extremum.nonzero(as_tuple=True)
    most = max(1, int(n_extrema.max()))
    in_order = torch.zeros(len(values), most, dtype=torch.long, device=values.device)
    nth = torch.arange(len(row), device=values.device) - (n_extrema.cumsum(0) - n_extrema)[row]
    in_order[row, nth] = frame
    return in_order, n_extrema


def _find_turns(extrema: Tensor, n_extrema: Tensor, *, values: Tensor, valid: Tensor) -> _Turns:
    """The extrema of all rows, one after the other: which of them are turns."""
    counts = frames.length_mask(n_extrema, extrema.shape[1])
    highest = torch.where(valid, values, -torch.inf).amax(-1)
    swing = MIN_SWING * (highest - torch.where(valid, values, torch.inf).amin(-1))
    heights = values.gather(-1, extrema)
    is_top = (heights > values.gather(-1, (extrema - 1).clamp_min(0))) & counts
    is_bottom = ~is_top & counts
    by_step = torch.stack([heights, is_top, is_bottom]).mT.cpu().numpy()  # (3, extrema, batch)
    found = _walk_extrema(by_step[0], by_step[1] > 0, by_step[2] > 0, swing.cpu().numpy(), values[:, 0].cpu().numpy())
    turned, peak, again = torch.from_numpy(found).transpose(1, 2).to(values.device)
    return _drop_replaced(extrema, values, turned, peak, again)


def _walk_extrema(
    heights: np.ndarray,  # (extrema, batch)
    is_top: np.ndarray,  # (extrema, batch) bool
    is_bottom: np.ndarray,  # (extrema, batch) bool
    swing: np.ndarray,  # (batch,)
    first: np.ndarray,  # (batch,): where each contour begins
) -> np.ndarray:  # (3, extrema, batch) bool: is a turn, is a peak, takes the place of the one before
    """Some twenty steps of a few hundred numbers for each extremum: NumPy does them in a quarter of the time that it
    takes to tell torch, or a GPU, of them."""
    minimum = maximum = turn = first  # the last local minimum and maximum, and the last turn
    valley = np.full_like(first, np.inf)  # that the contour fell into by a swing since the last peak
    after_peak, after_valley = np.zeros(len(first), bool), np.zeros(len(first), bool)  # what the last turn was
    found = np.empty((3, *heights.shape), bool)
    for step, (height, top, bottom) in enumerate(zip(heights, is_top, is_bottom, strict=True)):
        by_minimum = np.abs(height - minimum) > swing
        peak = top & np.where(after_peak, by_minimum & (height > turn), by_minimum | (height - valley > swing))
        dip = bottom & np.where(after_valley, height < turn, turn - height > swing)
        turned = peak | dip
        found[:, step] = turned, peak, (peak & after_peak) | (dip & after_valley)
        valley = np.where(dip & (maximum - height > swing), height, np.where(peak, np.float32(np.inf), valley))
        maximum, minimum = np.where(top, height, maximum), np.where(bottom, height, minimum)
        turn = np.where(turned, height, turn)
        after_peak, after_valley = peak | (after_peak & ~dip), dip | (after_valley & ~peak)
    return found


def _drop_replaced(extrema: Tensor, values: Tensor, turned: Tensor, peak: Tensor, again: Tensor) -> _Turns:
    """Without those whose place was taken by the next turn."""
    order = (~turned).to(torch.uint8).argsort(dim=-1, stable=True)
    turned, peak, again, extrema = (part.gather(-1, order) for part in (turned, peak, again, extrema))
    taken = torch.nn.functional.pad(again[:, 1:] & turned[:, 1:], (0, 1))
    kept = turned & ~taken
    order = (~kept).to(torch.uint8).argsort(dim=-1, stable=True)
    kept, peak, extrema = kept.gather(-1, order), peak.gather(-1, order), extrema.gather(-1, order)
    frame = torch.where(kept, extrema, 0)
    return _Turns(frame, values.gather(-1, frame), kept, peak & kept)
