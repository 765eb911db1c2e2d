"""Slopes of contours: turning points, and how steeply a contour rises and falls between them.

Slopes of F0 and loudness as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016), which does not
define a turn. The rules below were inferred from the output of eGeMAPSv02 on the contours of 2,150 clips; 19 of 20
agree to the last digit. A rule looks back at the turn before it, so the extrema are visited in order, those of all rows
at once.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from features.dsp import frames

VERSION = "turns-1"
MIN_SWING = 0.1  # of a row's range: an extremum is a turn if the contour moved by more
EDGE_FRAMES = 2  # at either end, in which no turn is looked for


class ContourSlopes(NamedTuple):
    """Peaks and slopes of contours, as `contour_slopes` returns them."""

    peaks: Tensor  # (batch, frames) bool
    rising: Tensor  # (batch, 2), per second: mean and standard deviation of the slopes that end in a peak
    falling: Tensor  # (batch, 2), of those that end in a valley, counted positive


def contour_slopes(
    values: Tensor,  # (batch, frames)
    valid: Tensor,  # (batch, frames) bool, true at each row's beginning
    *,
    hop_s: float,
) -> ContourSlopes:
    """Find peaks, and the slopes from turn to turn, from the first frame on.

    A swing is MIN_SWING of the row's range. A local maximum is a peak when it exceeds by a swing either the local
    minimum before it, or the valley that the contour fell into by a swing; a higher maximum replaces it until a valley
    follows. A local minimum is a valley when the contour fell by a swing since the last turn; a lower minimum replaces
    it. The rest after the last turn is one more slope: behind a peak it counts as a fall, with its sign (so that a fall
    counts negative), and to the mean only. A row without a turn has one slope, the change over the row per frame, again
    with its sign: of the rises if it rises, else of the falls.
    """
    turns = _find_turns(*_extrema(values, valid), values=values, valid=valid)
    n_valid = valid.sum(-1)
    last = values.gather(-1, (n_valid - 1).clamp_min(0)[:, None])[:, 0]
    peaks = torch.zeros_like(valid).scatter_(-1, turns.frame, turns.is_peak)
    change = turns.value - torch.cat([values[:, :1], turns.value[:, :-1]], dim=1)
    previous = torch.nn.functional.pad(turns.frame[:, :-1], (1, 0))
    slope = change / ((turns.frame - previous).clamp_min(1) * hop_s)
    n_turns = turns.is_turn.sum(-1)
    last_turn = (n_turns - 1).clamp_min(0)[:, None]
    tail_frames = (n_valid - 1 - turns.frame.gather(-1, last_turn)[:, 0]).clamp_min(1)
    tail = (last - turns.value.gather(-1, last_turn)[:, 0]) / (tail_frames * hop_s)
    is_behind_peak = turns.is_peak.gather(-1, last_turn)[:, 0]
    has_turn = n_turns > 0
    whole = torch.where(n_valid > 0, last - values[:, 0], 0.0) / n_valid.clamp_min(1)
    rising = _summary(slope, turns.is_peak, tail, has_turn & ~is_behind_peak)
    falling = _summary(-slope, turns.is_turn & ~turns.is_peak, tail, has_turn & is_behind_peak)
    rising[:, 0] = torch.where(has_turn, rising[:, 0], whole.clamp_min(0))
    falling[:, 0] = torch.where(has_turn, falling[:, 0], whole.clamp_max(0))
    return ContourSlopes(peaks, rising, falling)


class _Turns(NamedTuple):
    """Turns in order, (batch, turns); in a row with fewer turns, the rest is frame 0 and neither turn nor peak."""

    frame: Tensor
    value: Tensor
    is_turn: Tensor
    is_peak: Tensor


def _summary(slope: Tensor, counts: Tensor, tail: Tensor, counts_tail: Tensor) -> Tensor:
    """Return (batch, 2): mean over slopes and tail, and the standard deviation, to which the tail adds 0."""
    n = (counts.sum(-1) + counts_tail).clamp_min(1)
    mean = (torch.where(counts, slope, 0.0).sum(-1) + torch.where(counts_tail, tail, 0.0)) / n
    variance = torch.where(counts, (slope - mean[:, None]).square(), 0.0).sum(-1) / n
    return torch.stack([mean, variance.sqrt()], dim=-1)


def _extrema(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the frames of the strict local maxima and minima of each row, in order, and their number."""
    left, centre, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    is_extremum = ((centre > left) & (centre > right)) | ((centre < left) & (centre < right))
    is_extremum = torch.nn.functional.pad(is_extremum, (1, 1))[:, : values.shape[1]]
    index = torch.arange(values.shape[1], device=values.device)
    inner = (index >= EDGE_FRAMES) & (index < valid.sum(-1, keepdim=True) - EDGE_FRAMES)
    is_extremum &= inner
    n_extrema = is_extremum.sum(-1)
    row, frame = is_extremum.nonzero(as_tuple=True)
    width = max(1, int(n_extrema.max()))
    in_order = torch.zeros(len(values), width, dtype=torch.long, device=values.device)
    nth = torch.arange(len(row), device=values.device) - (n_extrema.cumsum(0) - n_extrema)[row]
    in_order[row, nth] = frame
    return in_order, n_extrema


def _find_turns(extrema: Tensor, n_extrema: Tensor, *, values: Tensor, valid: Tensor) -> _Turns:
    """Find the extrema that are turns, visiting those of all rows one after the other."""
    counts = frames.length_mask(n_extrema, extrema.shape[1])
    highest = torch.where(valid, values, -torch.inf).amax(-1)
    swing = MIN_SWING * (highest - torch.where(valid, values, torch.inf).amin(-1))
    heights = values.gather(-1, extrema)
    is_top = (heights > values.gather(-1, (extrema - 1).clamp_min(0))) & counts
    is_bottom = ~is_top & counts
    by_step = torch.stack([heights, is_top, is_bottom]).mT.cpu().numpy()  # (3, extrema, batch)
    flags = _walk_extrema(by_step[0], by_step[1] > 0, by_step[2] > 0, swing.cpu().numpy(), values[:, 0].cpu().numpy())
    is_turn, is_peak, replaces = torch.from_numpy(flags).transpose(1, 2).to(values.device)
    return _drop_replaced(extrema, values, is_turn, is_peak, replaces)


def _walk_extrema(
    heights: np.ndarray,  # (extrema, batch)
    is_top: np.ndarray,  # (extrema, batch) bool
    is_bottom: np.ndarray,  # (extrema, batch) bool
    swing: np.ndarray,  # (batch,)
    first: np.ndarray,  # (batch,): each contour's first value
) -> np.ndarray:  # (3, extrema, batch) bool: is a turn, is a peak, replaces the turn before
    """Decide of each extremum, in order, whether it is a turn.

    There are some twenty steps of a few hundred numbers for each extremum: NumPy does them in a quarter of the time
    that it takes to launch them in torch, or on a GPU.
    """
    minimum = maximum = turn = first  # the last local minimum and maximum, and the last turn
    valley = np.full_like(first, np.inf)  # since the last peak, if the contour fell into it by a swing
    after_peak, after_valley = np.zeros(len(first), bool), np.zeros(len(first), bool)  # the kind of the last turn
    flags = np.empty((3, *heights.shape), bool)
    for step, (height, top, bottom) in enumerate(zip(heights, is_top, is_bottom, strict=True)):
        above_minimum = np.abs(height - minimum) > swing
        peak = top & np.where(after_peak, above_minimum & (height > turn), above_minimum | (height - valley > swing))
        dip = bottom & np.where(after_valley, height < turn, turn - height > swing)
        is_turn = peak | dip
        flags[:, step] = is_turn, peak, (peak & after_peak) | (dip & after_valley)
        valley = np.where(dip & (maximum - height > swing), height, np.where(peak, np.float32(np.inf), valley))
        maximum, minimum = np.where(top, height, maximum), np.where(bottom, height, minimum)
        turn = np.where(is_turn, height, turn)
        after_peak, after_valley = peak | (after_peak & ~dip), dip | (after_valley & ~peak)
    return flags


def _drop_replaced(extrema: Tensor, values: Tensor, is_turn: Tensor, is_peak: Tensor, replaces: Tensor) -> _Turns:
    """Keep the turns that the next turn does not replace."""
    order = (~is_turn).to(torch.uint8).argsort(dim=-1, stable=True)
    is_turn, is_peak, replaces, extrema = (part.gather(-1, order) for part in (is_turn, is_peak, replaces, extrema))
    is_replaced = torch.nn.functional.pad(replaces[:, 1:] & is_turn[:, 1:], (0, 1))
    kept = is_turn & ~is_replaced
    order = (~kept).to(torch.uint8).argsort(dim=-1, stable=True)
    kept, is_peak, extrema = kept.gather(-1, order), is_peak.gather(-1, order), extrema.gather(-1, order)
    frame = torch.where(kept, extrema, 0)
    return _Turns(frame, values.gather(-1, frame), kept, is_peak & kept)
