"""Jitter and shimmer: differences of neighbouring pitch periods in length and in height.

Period marks by waveform matching: from each mark, the lag within a tenth of the expected period at which the waveform
looks most like the period before (Titze and Liang, "Comparison of F0 extraction methods for high-precision voice
perturbation measurements", J. Speech Hear. Res. 36, 1993). A chain of periods is a recursion, so the voiced stretches
of the whole batch run side by side, each on a grid of its own period.
"""

import torch
from torch import Tensor

VERSION = "periods-2"
POINTS_PER_PERIOD = 64
MAX_PERIOD_DEVIATION = 0.1  # of a period's length, as a share of the expected period
MIN_SIMILARITY = 0.5  # correlation of two periods in a row
PIECE_FRAMES, WARM_UP_FRAMES = 16, 4  # a longer stretch is cut; each piece is begun some frames earlier
MIN_F0_HZ = 30.0  # bounds the period that may be expected
_MAX_SHIMMER = 1.0  # of the mean height
_FIRST_LAG, _LAST_LAG = (
    round(POINTS_PER_PERIOD * (1 - MAX_PERIOD_DEVIATION)) - 1,
    round(POINTS_PER_PERIOD * (1 + MAX_PERIOD_DEVIATION)) + 1,
)  # in points: the range of lags to try


def jitter_and_shimmer(
    waveform: Tensor,  # (batch, time)
    f0_hz: Tensor,  # (batch, frames), 0 where unvoiced; frame t begins at sample t * hop
    *,
    hop: int,
    sample_rate: int,
) -> tuple[Tensor, Tensor]:  # each (batch, frames)
    """Compute local jitter, a share of the period, and local shimmer in dB, of the periods that begin in each frame.

    Jitter is the mean difference of neighbouring periods' lengths over their mean; shimmer 20 log10(1 + the same of
    their heights). A frame without a new period repeats the one before; unvoiced frames are 0, and so are the frames of
    a voiced stretch before its first two similar periods.
    """
    sums = torch.zeros(4, f0_hz.numel(), device=waveform.device)
    chains = _PeriodChains(waveform, f0_hz, hop=hop, sample_rate=sample_rate)
    while len(chains.frame):
        frame, amounts = chains.advance()
        sums.index_add_(1, frame, amounts)
    length_change, length, height_change, height = sums.view(4, *f0_hz.shape)
    jitter = length_change / length.clamp_min(1e-9)
    shimmer = 20 * (1 + (height_change / height.clamp_min(1e-9)).clamp_max(_MAX_SHIMMER)).log10()
    voiced = f0_hz > 0
    return _hold_last(jitter, length > 0, voiced), _hold_last(shimmer, height > 0, voiced)


class _PeriodChains:
    """Chains of periods through all pieces of voiced stretches, each at the start of its next period."""

    def __init__(self, waveform: Tensor, f0_hz: Tensor, *, hop: int, sample_rate: int) -> None:
        self.hop = hop
        waveform = torch.nn.functional.pad(
            waveform, (0, round(2 * (1 + MAX_PERIOD_DEVIATION) * sample_rate / MIN_F0_HZ))
        )
        self.samples = waveform.flatten()
        self.period = torch.where(f0_hz > 0, sample_rate / f0_hz.clamp_min(1), 0.0).flatten()
        n_frames, time = f0_hz.shape[1], waveform.shape[1]
        row, begin, warm, end = _cut_pieces(f0_hz > 0)
        origin = row * time + warm * hop  # into samples; marks are relative to it, and so keep their digits
        self.frame = row * n_frames + warm  # of each chain's mark
        self.piece = torch.stack([self.frame, row * n_frames + begin, row * n_frames + end, origin])
        self.mark = torch.zeros(2, len(row), device=waveform.device)  # in samples, and the period accepted last
        self.grid = torch.arange(POINTS_PER_PERIOD + _LAST_LAG, device=waveform.device) / POINTS_PER_PERIOD

    def advance(self) -> tuple[Tensor, Tensor]:
        """Go one period further in every chain; return the frames it counts for and what it adds there, (4, chains)."""
        expected = self.period[self.frame]
        mark, previous = self.mark
        lag, length, similarity, heights = _match_next_period(self._resample(expected))
        length = length * expected
        accepted = similarity >= MIN_SIMILARITY
        counts = accepted & (self.frame >= self.piece[1])
        follows = counts & (previous > 0)
        changes = torch.stack([(length - previous).abs(), length, (heights[0] - heights[1]).abs(), heights.mean(0)])
        amounts = torch.where(torch.stack([follows, follows, counts, counts]), changes, 0.0)
        frame = self.frame
        self._move(mark + lag * expected, torch.where(accepted, length, previous), expected)
        return frame, amounts

    def _resample(self, expected: Tensor) -> Tensor:
        """Interpolate the waveform from each mark on, POINTS_PER_PERIOD an expected period: (points, chains)."""
        position = self.mark[0] + expected * self.grid[:, None]
        whole = position.long()
        index = self.piece[3] + whole
        return torch.lerp(self.samples[index], self.samples[index + 1], position - whole)

    def _move(self, mark: Tensor, previous: Tensor, expected: Tensor) -> None:
        """Move each chain to the frame of its next period, and drop those that left their piece."""
        first_frame, _, end, _ = self.piece
        current = self.frame - first_frame
        fits = (current + 1) * self.hop - mark >= 2 * (1 + MAX_PERIOD_DEVIATION) * expected + 4
        later = torch.maximum(current + 1, (mark / self.hop).long() + 1)
        frame = first_frame + torch.where(fits, current, later)
        active = (frame < end).nonzero()[:, 0]
        self.frame, self.piece = frame[active], self.piece[:, active]
        self.mark = torch.stack([mark, previous])[:, active]


def _match_next_period(wave: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find each chain's next period in `wave` (points, chains).

    Returns its lag and its refined length in expected periods, the similarity of the two periods, and their heights.
    Where no lag in range is a maximum, the lag is the expected period and the similarity -1. Chains lie side by side in
    memory, so that each lag is one pass over them all.
    """
    first = wave[:POINTS_PER_PERIOD]
    centred = first - first.mean(0)
    lags = range(_FIRST_LAG, len(wave) - POINTS_PER_PERIOD + 1)
    product = torch.stack([(wave[lag : lag + POINTS_PER_PERIOD] * centred).sum(0) for lag in lags])
    running = torch.nn.functional.pad(torch.stack([wave, wave.square()]).cumsum(1), (0, 0, 1, 0))
    total, energy = (running[:, POINTS_PER_PERIOD:] - running[:, :-POINTS_PER_PERIOD])[:, _FIRST_LAG:]
    spread = (energy - total.square() / POINTS_PER_PERIOD).clamp_min(0) * centred.square().sum(0)
    similarity = product / spread.clamp_min(1e-20).sqrt()
    left, centre, right = similarity[:-2], similarity[1:-1], similarity[2:]
    best = torch.where((centre > left) & (centre >= right), centre, -1.0).max(0)
    index = best.indices[None]
    left, centre, right = (part.gather(0, index)[0] for part in (left, centre, right))
    shift = (0.5 * (right - left) / (2 * centre - left - right).clamp_min(1e-9)).clamp(-0.5, 0.5)
    exists = best.values > -1
    lag = torch.where(exists, (_FIRST_LAG + 1 + best.indices) / POINTS_PER_PERIOD, 1.0)
    second = wave.gather(
        0, index + torch.arange(_FIRST_LAG + 1, _FIRST_LAG + 1 + POINTS_PER_PERIOD, device=wave.device)[:, None]
    )
    low, high = torch.stack([first, second]).aminmax(dim=1)
    return lag, lag + shift / POINTS_PER_PERIOD, best.values, high - low


def _cut_pieces(voiced: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut voiced stretches into pieces of at most PIECE_FRAMES frames.

    Returns the row, the first frame, the frame to begin at, and the end of each piece; each (pieces,).
    """
    index = torch.arange(voiced.shape[1], device=voiced.device).expand(voiced.shape)
    start = torch.where(voiced, -1, index).cummax(-1).values + 1  # of the stretch that a voiced frame belongs to
    is_next_voiced = torch.nn.functional.pad(voiced[:, 1:], (0, 1))
    opens = voiced & ((index - start) % PIECE_FRAMES == 0)
    closes = voiced & (~is_next_voiced | ((index - start) % PIECE_FRAMES == PIECE_FRAMES - 1))
    row, begin = opens.nonzero(as_tuple=True)
    end = closes.nonzero(as_tuple=True)[1] + 1
    return row, begin, torch.maximum(start[row, begin], begin - WARM_UP_FRAMES), end


def _hold_last(values: Tensor, known: Tensor, voiced: Tensor) -> Tensor:
    """Return each voiced frame's value, or the last known one before it in the same voiced stretch, or 0."""
    index = torch.arange(values.shape[1], device=values.device).expand(values.shape)
    last = torch.where(known, index, -1).cummax(-1).values
    gap = torch.where(voiced, -1, index).cummax(-1).values
    return torch.where(voiced & (last > gap), values.gather(-1, last.clamp_min(0)), 0.0)
