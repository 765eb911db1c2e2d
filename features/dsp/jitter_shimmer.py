"""Jitter and shimmer: how much one pitch period differs from the next, in length and in height.

Period marks by waveform matching: from each mark, the lag within a tenth of the expected period at which the waveform
looks most like the period before (Titze and Liang, "Comparison of F0 extraction methods for high-precision voice
perturbation measurements", J. Speech Hear. Res. 36, 1993). A chain of periods is a recursion, so what runs side by side
are the voiced stretches of the whole batch, each on a grid of its own period.
"""

import torch
from torch import Tensor

VERSION = "periods-2"
GRID = 64  # points a period
REACH = 0.1  # of the expected period: how far its length may be off
MATCH = 0.5  # the least correlation of two periods in a row
PIECE, WARM_UP = 16, 4  # frames: a longer stretch is cut, and each piece begun some frames before its own
LOWEST_HZ = 30.0  # the longest period that may be expected
_LARGEST_SHIMMER = 1.0  # of the mean height
_FIRST, _LAST = round(GRID * (1 - REACH)) - 1, round(GRID * (1 + REACH)) + 1  # lags tried, in points


def jitter_and_shimmer(
    waveform: Tensor,  # (batch, time)
    f0_hz: Tensor,  # (batch, frames), 0 where unvoiced; frame t begins at sample t * hop
    *,
    hop: int,
    sample_rate: int,
) -> tuple[Tensor, Tensor]:  # each (batch, frames)
    """Local jitter, a share of the period, and local shimmer in dB, of the periods that begin in each frame.

    Jitter is the mean difference of neighbouring periods' lengths over their mean; shimmer 20 log10(1 + the same of
    their heights). A frame without a new period repeats the one before; unvoiced frames, and those in which a voiced
    stretch has not yet shown two periods alike, are 0.
    """
    sums = torch.zeros(4, f0_hz.numel(), device=waveform.device)
    chain = _Chains(waveform, f0_hz, hop=hop, sample_rate=sample_rate)
    while len(chain.frame):
        place, found = chain.advance()
        sums.index_add_(1, place, found)
    length_change, length, height_change, height = sums.view(4, *f0_hz.shape)
    jitter = length_change / length.clamp_min(1e-9)
    shimmer = 20 * (1 + (height_change / height.clamp_min(1e-9)).clamp_max(_LARGEST_SHIMMER)).log10()
    voiced = f0_hz > 0
    return _held(jitter, length > 0, voiced), _held(shimmer, height > 0, voiced)


class _Chains:
    """All pieces of voiced stretches, each at the start of its next period."""

    def __init__(self, waveform: Tensor, f0_hz: Tensor, *, hop: int, sample_rate: int) -> None:
        self.hop = hop
        waveform = torch.nn.functional.pad(waveform, (0, round(2 * (1 + REACH) * sample_rate / LOWEST_HZ)))
        self.samples = waveform.flatten()
        self.period = torch.where(f0_hz > 0, sample_rate / f0_hz.clamp_min(1), 0.0).flatten()
        n_frames, time = f0_hz.shape[1], waveform.shape[1]
        row, begin, warm, end = _pieces(f0_hz > 0)
        origin = row * time + warm * hop  # into samples; marks are relative to it, and so keep their digits
        self.frame = row * n_frames + warm  # of each chain's mark
        self.piece = torch.stack([self.frame, row * n_frames + begin, row * n_frames + end, origin])
        self.mark = torch.zeros(2, len(row), device=waveform.device)  # in samples, and the period accepted last
        self.grid = torch.arange(GRID + _LAST, device=waveform.device) / GRID

    def advance(self) -> tuple[Tensor, Tensor]:
        """One period further in every chain: the frames it counts for, and what it adds there, (4, chains)."""
        expected = self.period[self.frame]
        at, before = self.mark
        lag, length, similarity, heights = _match(self._cut(expected))
        length = length * expected
        accepted = similarity >= MATCH
        counts = accepted & (self.frame >= self.piece[1])
        in_row = counts & (before > 0)
        adds = torch.stack([(length - before).abs(), length, (heights[0] - heights[1]).abs(), heights.mean(0)])
        found = torch.where(torch.stack([in_row, in_row, counts, counts]), adds, 0.0)
        place = self.frame
        self._go_on(at + lag * expected, torch.where(accepted, length, before), expected)
        return place, found

    def _cut(self, expected: Tensor) -> Tensor:
        """(points, chains): the waveform from each mark on, GRID points an expected period, interpolated linearly."""
        position = self.mark[0] + expected * self.grid[:, None]
        whole = position.long()
        index = self.piece[3] + whole
        return torch.lerp(self.samples[index], self.samples[index + 1], position - whole)

    def _go_on(self, at: Tensor, before: Tensor, expected: Tensor) -> None:
        """Each chain to the frame of its next period; those that left their piece are dropped."""
        first_frame, _, end, _ = self.piece
        own = self.frame - first_frame
        room = (own + 1) * self.hop - at >= 2 * (1 + REACH) * expected + 4
        later = torch.maximum(own + 1, (at / self.hop).long() + 1)
        frame = first_frame + torch.where(room, own, later)
        active = (frame < end).nonzero()[:, 0]
        self.frame, self.piece = frame[active], self.piece[:, active]
        self.mark = torch.stack([at, before])[:, active]


def _match(wave: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of (points, chains): the next period's lag and its refined length in expected periods, how alike, both heights.

    Where nothing within reach is a maximum, the lag is the expected period and the likeness -1. Chains lie side by side
    in memory, so that each lag is one run over them all.
    """
    first = wave[:GRID]
    centred = first - first.mean(0)
    lags = range(_FIRST, len(wave) - GRID + 1)
    product = torch.stack([(wave[lag : lag + GRID] * centred).sum(0) for lag in lags])
    running = torch.nn.functional.pad(torch.stack([wave, wave.square()]).cumsum(1), (0, 0, 1, 0))
    total, energy = (running[:, GRID:] - running[:, :-GRID])[:, _FIRST:]
    spread = (energy - total.square() / GRID).clamp_min(0) * centred.square().sum(0)
    alike = product / spread.clamp_min(1e-20).sqrt()
    left, centre, right = alike[:-2], alike[1:-1], alike[2:]
    best = torch.where((centre > left) & (centre >= right), centre, -1.0).max(0)
    place = best.indices[None]
    left, centre, right = (part.gather(0, place)[0] for part in (left, centre, right))
    shift = (0.5 * (right - left) / (2 * centre - left - right).clamp_min(1e-9)).clamp(-0.5, 0.5)
    there = best.values > -1
    lag = torch.where(there, (_FIRST + 1 + best.indices) / GRID, 1.0)
    chosen = wave.gather(0, place + torch.arange(_FIRST + 1, _FIRST + 1 + GRID, device=wave.device)[:, None])
    low, high = torch.stack([first, chosen]).aminmax(dim=1)
    return lag, lag + shift / GRID, best.values, high - low


def _pieces(voiced: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row, first frame, frame to begin at, and end of stretches of at most PIECE voiced frames; each (pieces,)."""
    place = torch.arange(voiced.shape[1], device=voiced.device).expand(voiced.shape)
    start = torch.where(voiced, -1, place).cummax(-1).values + 1  # of the stretch that a voiced frame belongs to
    behind = torch.nn.functional.pad(voiced[:, 1:], (0, 1))
    opens = voiced & ((place - start) % PIECE == 0)
    closes = voiced & (~behind | ((place - start) % PIECE == PIECE - 1))
    row, begin = opens.nonzero(as_tuple=True)
    end = closes.nonzero(as_tuple=True)[1] + 1
    return row, begin, torch.maximum(start[row, begin], begin - WARM_UP), end


def _held(values: Tensor, there: Tensor, voiced: Tensor) -> Tensor:
    """Each voiced frame's value, or the last one before it in the same voiced stretch, or 0."""
    place = torch.arange(values.shape[1], device=values.device).expand(values.shape)
    last = torch.where(there, place, -1).cummax(-1).values
    gap = torch.where(voiced, -1, place).cummax(-1).values
    return torch.where(voiced & (last > gap), values.gather(-1, last.clamp_min(0)), 0.0)
