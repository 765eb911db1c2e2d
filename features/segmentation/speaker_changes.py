"""Where the voice changes within a stretch of speech, and the stretches cut there.

Embeddings before and after each moment are compared, as Siegler et al. (DARPA Speech Recognition Workshop, 1997) do
with spectra; what looks like a change is placed where two voices explain the short windows best, and stays if the whole
pieces on either side are of different voices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint
from features.decode.config import SAMPLE_RATE
from features.dsp.batching import map_batches, max_batch_samples
from features.segmentation.segments import Span

VERSION = "changes-1"

K = TypeVar("K")

SlidingEmbedder = Callable[[Tensor, Tensor, Sequence[float], float], list[list[np.ndarray]]]
"""(batch, time) waveforms, (batch,) lengths, lengths of window and a hop in seconds to the embeddings of every window.

A row, and of it a length of window: (n_windows, dim) of unit length. Window i begins at i hops; only whole ones count.
"""

_LEVEL_HOP, _LEVEL_SMOOTHING = 160, 10  # samples, hops: levels each 10 ms, over 100 ms
_FLOOR = 1e-9  # of power: digital silence


@dataclass(frozen=True)
class ChangeConfig:
    """When a voice counts as another; times in seconds, `window_s` and `fine_s` whole numbers of hops.

    `same_voice` is the encoder's own threshold, the cosine from which two utterances count as one speaker's; below
    `different` times that there are two voices (tests/bench/speaker_changes.py).

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    enabled: bool = True
    window_s: float = 2.0  # what is compared; nothing shorter than two of them is examined
    fine_s: float = 0.5  # what places a change
    hop_s: float = 0.25
    context_s: float = 3.0  # on either side, for a suspicion
    reach_s: float = 1.0  # as far as a change moves from where it was suspected
    dip_reach_s: float = 0.25  # and then to a pause
    dip_slope_db: float = 40.0  # that a pause has to be deeper for each second it is farther away
    least_s: float = 1.0  # of a piece
    same_voice: float = 0.608
    different: float = 0.63

    def __post_init__(self) -> None:
        for name in ("window_s", "fine_s"):
            hops = getattr(self, name) / self.hop_s
            if hops < 1 or abs(hops - round(hops)) > 1e-6:
                raise UsageError(f"expected {name} of whole hops ({self.hop_s} s), found {getattr(self, name)}")
        if not 0 < self.least_s <= self.window_s <= self.context_s:
            raise UsageError(f"expected 0 < least_s <= window_s <= context_s, found {self}")

    @property
    def shortest_s(self) -> float:
        """What can hold a change that is looked for."""
        return 2 * self.window_s

    @property
    def unlike(self) -> float:
        """The cosine below which two voices are different."""
        return self.different * self.same_voice

    def fingerprint(self) -> str:
        """This configuration and the code's version in 12 hex digits; one of all that look for no changes."""
        return fingerprint(self, VERSION) if self.enabled else ""


def split_at_changes(
    waveforms: Mapping[K, np.ndarray],  # (time,) float32 at 16 kHz, by whatever names them
    spans: Mapping[K, list[Span]],
    embed_sliding: SlidingEmbedder | None,
    *,
    config: ChangeConfig,
    device: torch.device,
) -> dict[K, list[Span]]:
    """Each waveform's spans, in which a voice changes in two or more; ordered and disjoint, they cover what they did.

    As they were where changes are not looked for, or nobody can tell voices apart.
    """
    split = {recording: list(own) for recording, own in spans.items()}
    if not config.enabled or embed_sliding is None:
        return split
    keys = [(recording, span) for recording, own in spans.items() for span in own]
    long = [(recording, span) for recording, span in keys if span.end_s - span.start_s >= config.shortest_s]
    pieces = [_span_samples(waveforms[recording], span) for recording, span in long]

    def voices(waveform: Tensor, lengths: Tensor) -> list[list[np.ndarray]]:
        return embed_sliding(waveform, lengths, (config.window_s, config.fine_s), config.hop_s)

    heard = map_batches(voices, pieces, device, max_samples=max_batch_samples(device))
    changes = {
        place: change_times(own[0], own[1], frame_levels_db(piece), config=config)
        for place, piece, own in zip(long, pieces, heard, strict=True)
    }
    return {
        recording: [piece for span in own for piece in _cut_at(span, changes.get((recording, span), []))]
        for recording, own in split.items()
    }


def change_times(
    voices: np.ndarray,  # (n_windows, dim) of unit length, windows of window_s
    fine: np.ndarray,  # (n_fine, dim) of unit length, windows of fine_s
    levels_db: np.ndarray,  # (frames,), one each 10 ms
    *,
    config: ChangeConfig = ChangeConfig(),
) -> list[float]:
    """Seconds from the stretch's beginning at which another voice begins, in order, pieces of least_s at least."""
    seconds = len(levels_db) * _LEVEL_HOP / SAMPLE_RATE
    times = _place_changes(_suspect_changes(voices, config), fine, seconds=seconds, config=config)
    times = _confirm_changes(times, voices, seconds=seconds, config=config)
    return _move_to_pauses(times, levels_db, seconds=seconds, config=config)


def frame_levels_db(waveform: np.ndarray) -> np.ndarray:  # (time,) to (frames,), one each 10 ms
    """How loud each moment is, over 100 ms around it."""
    whole = waveform[: len(waveform) // _LEVEL_HOP * _LEVEL_HOP].reshape(-1, _LEVEL_HOP)
    power = np.square(whole, dtype=np.float64).mean(1)
    smooth = np.convolve(power, np.full(_LEVEL_SMOOTHING, 1 / _LEVEL_SMOOTHING))[_LEVEL_SMOOTHING // 2 :][: len(power)]
    return np.asarray(10 * np.log10(np.maximum(smooth, _FLOOR)))


def _suspect_changes(voices: np.ndarray, config: ChangeConfig) -> list[float]:
    """Where the voices before and after are least alike, then the same on either side, while it is unlike."""
    size, context = round(config.window_s / config.hop_s), round(config.context_s / config.hop_s)
    totals = np.concatenate([np.zeros((1, voices.shape[1])), np.cumsum(voices, axis=0, dtype=np.float64)])
    found, waiting = [], [(0, len(voices))]
    while waiting:
        first, end = waiting.pop()
        moments = np.arange(first + size, end)  # a window begins there, and another has just ended
        if not len(moments):
            continue
        before = totals[moments - size + 1] - totals[np.maximum(first, moments - context)]
        after = totals[np.minimum(end, moments + context - size + 1)] - totals[moments]
        alike = _cosines(before, after)
        least = int(np.argmin(alike))
        if alike[least] < config.unlike:
            moment = int(moments[least])
            found.append(moment * config.hop_s)
            waiting += [(first, moment - size + 1), (moment, end)]
    return sorted(found)


def _place_changes(times: list[float], fine: np.ndarray, *, seconds: float, config: ChangeConfig) -> list[float]:
    """Each moved to where the sums of the short windows before and after, up to its neighbours, are longest.

    The most likely place of a change between two von Mises-Fisher distributions of one concentration.
    """
    middles = np.arange(len(fine)) * config.hop_s + config.fine_s / 2
    totals = np.concatenate([np.zeros((1, fine.shape[1])), np.cumsum(fine, axis=0, dtype=np.float64)])
    edges = [0.0, *times, seconds]
    for place in range(1, len(edges) - 1):
        before, now, after = edges[place - 1 : place + 2]
        first, end = np.searchsorted(middles, [max(before, now - config.context_s), min(after, now + config.context_s)])
        lowest, highest = (
            max(before + config.least_s, now - config.reach_s),
            min(after - config.least_s, now + config.reach_s),
        )
        moments = np.arange(lowest, highest + 1e-9, config.hop_s / 2)
        if len(moments):
            cut = np.searchsorted(middles, moments)
            length = np.linalg.norm(totals[cut] - totals[first], axis=1) + np.linalg.norm(
                totals[end] - totals[cut], axis=1
            )
            edges[place] = float(moments[length >= length.max() - 1e-9].mean())
    return edges[1:-1]


def _confirm_changes(times: list[float], voices: np.ndarray, *, seconds: float, config: ChangeConfig) -> list[float]:
    """Without those between pieces that are alike; the most alike are joined first."""
    kept = list(times)
    while kept:
        ends = list(pairwise([0.0, *kept, seconds]))
        means = np.stack([_piece_embedding(voices, start, end, config) for start, end in ends])
        alike = _cosines(means[:-1], means[1:])
        most = int(np.argmax(alike))
        if alike[most] < config.unlike:
            break
        del kept[most]
    return kept


def _piece_embedding(voices: np.ndarray, start_s: float, end_s: float, config: ChangeConfig) -> np.ndarray:
    """The sum of the windows within; of the one nearest to it where none is."""
    starts = np.arange(len(voices)) * config.hop_s
    inside = (starts >= start_s - 1e-6) & (starts + config.window_s <= end_s + 1e-6)
    if not inside.any():
        inside = np.arange(len(voices)) == np.abs(starts + config.window_s / 2 - (start_s + end_s) / 2).argmin()
    return np.asarray(voices[inside].sum(0, dtype=np.float64))


def _move_to_pauses(times: list[float], levels_db: np.ndarray, *, seconds: float, config: ChangeConfig) -> list[float]:
    """Each moved to the deepest dip nearby."""
    middles = (np.arange(len(levels_db)) + 0.5) * _LEVEL_HOP / SAMPLE_RATE
    edges = [0.0, *times, seconds]
    for place in range(1, len(edges) - 1):
        before, now, after = edges[place - 1 : place + 2]
        near = np.flatnonzero(
            (np.abs(middles - now) <= config.dip_reach_s)
            & (middles >= before + config.least_s)
            & (middles <= after - config.least_s)
        )
        if len(near):
            depth = levels_db[near] + config.dip_slope_db * np.abs(middles[near] - now)
            edges[place] = float(middles[near[np.argmin(depth)]])
    return edges[1:-1]


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:  # (n, dim) each, to (n,)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / np.maximum(lengths, 1e-12))


def _span_samples(waveform: np.ndarray, span: Span) -> np.ndarray:
    return waveform[round(span.start_s * SAMPLE_RATE) : round(span.end_s * SAMPLE_RATE)]


def _cut_at(span: Span, times: list[float]) -> list[Span]:
    edges = [span.start_s, *(span.start_s + time for time in times), span.end_s]
    return [Span(start, end) for start, end in pairwise(edges)]
