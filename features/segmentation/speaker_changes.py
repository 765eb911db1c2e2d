"""Speaker change detection within spans of speech, and cutting spans at the changes.

Embeddings before and after each moment are compared, as Siegler et al. (DARPA Speech Recognition Workshop, 1997) do
with spectra. A suspected change is placed where two voices explain the short windows best, and is kept if the whole
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

Returns, for each row and each length of window, (n_windows, dim) of unit length. Window i begins at i hops; only whole
windows count.
"""

_LEVEL_HOP, _LEVEL_SMOOTHING = 160, 10  # samples, hops: levels each 10 ms, over 100 ms
_FLOOR = 1e-9  # of power: digital silence


@dataclass(frozen=True)
class ChangeConfig:
    """Configuration of speaker change detection; times in seconds, `window_s` and `fine_s` whole numbers of hops.

    `same_voice` is the encoder's own threshold, the cosine from which two utterances count as one speaker's; below
    `different` times that there are two voices (tests/bench/speaker_changes.py).

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    enabled: bool = True
    window_s: float = 2.0  # of the embeddings that are compared; spans shorter than two of them are not examined
    fine_s: float = 0.5  # of the embeddings that place a change
    hop_s: float = 0.25
    context_s: float = 3.0  # on either side of a suspected change
    reach_s: float = 1.0  # largest distance of a change from where it was suspected
    dip_reach_s: float = 0.25  # and then of the pause that it is moved to
    dip_slope_db: float = 40.0  # a pause has to be deeper by so much for each second of distance
    least_s: float = 1.0  # shortest piece
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
    def min_span_s(self) -> float:
        """The shortest span that is examined."""
        return 2 * self.window_s

    @property
    def max_different(self) -> float:
        """The cosine below which two voices are different."""
        return self.different * self.same_voice

    def fingerprint(self) -> str:
        """Return a digest of this configuration and the code's version, 12 hex digits; "" if it is not enabled."""
        return fingerprint(self, VERSION) if self.enabled else ""


def split_at_changes(
    waveforms: Mapping[K, np.ndarray],  # (time,) float32 at 16 kHz, by any key
    spans: Mapping[K, list[Span]],
    sliding: SlidingEmbedder | None,
    *,
    config: ChangeConfig,
    device: torch.device,
) -> dict[K, list[Span]]:
    """Return each waveform's spans, split where the voice changes; ordered, disjoint, and covering the same time.

    They are returned unchanged if detection is not enabled, or without a `sliding` embedder.
    """
    unchanged = {key: list(key_spans) for key, key_spans in spans.items()}
    if not config.enabled or sliding is None:
        return unchanged
    places = [(key, span) for key, key_spans in spans.items() for span in key_spans]
    long = [(key, span) for key, span in places if span.end_s - span.start_s >= config.min_span_s]
    pieces = [_span_samples(waveforms[key], span) for key, span in long]

    def embed(waveform: Tensor, lengths: Tensor) -> list[list[np.ndarray]]:
        return sliding(waveform, lengths, (config.window_s, config.fine_s), config.hop_s)

    embeddings = map_batches(embed, pieces, device, max_samples=max_batch_samples(device))
    changes = {
        place: change_times(voices, fine, frame_levels_db(piece), config=config)
        for place, piece, (voices, fine) in zip(long, pieces, embeddings, strict=True)
    }
    return {
        key: [piece for span in key_spans for piece in _cut_at(span, changes.get((key, span), []))]
        for key, key_spans in unchanged.items()
    }


def change_times(
    voices: np.ndarray,  # (n_windows, dim) of unit length, windows of window_s
    fine: np.ndarray,  # (n_fine, dim) of unit length, windows of fine_s
    levels_db: np.ndarray,  # (frames,), one each 10 ms
    *,
    config: ChangeConfig = ChangeConfig(),
) -> list[float]:
    """Return the times of changes in seconds from the span's beginning, in order, at least `least_s` apart."""
    seconds = len(levels_db) * _LEVEL_HOP / SAMPLE_RATE
    times = _place_changes(_suspect_changes(voices, config), fine, seconds=seconds, config=config)
    times = _confirm_changes(times, voices, seconds=seconds, config=config)
    return _move_to_pauses(times, levels_db, seconds=seconds, config=config)


def frame_levels_db(waveform: np.ndarray) -> np.ndarray:  # (time,) to (frames,), one each 10 ms
    """Compute the level of each 10 ms, averaged over 100 ms around it."""
    whole = waveform[: len(waveform) // _LEVEL_HOP * _LEVEL_HOP].reshape(-1, _LEVEL_HOP)
    power = np.square(whole, dtype=np.float64).mean(1)
    smooth = np.convolve(power, np.full(_LEVEL_SMOOTHING, 1 / _LEVEL_SMOOTHING))[_LEVEL_SMOOTHING // 2 :][: len(power)]
    return np.asarray(10 * np.log10(np.maximum(smooth, _FLOOR)))


def _suspect_changes(voices: np.ndarray, config: ChangeConfig) -> list[float]:
    """Find where the voices before and after are least similar, then again on either side, while they are different."""
    size, context = round(config.window_s / config.hop_s), round(config.context_s / config.hop_s)
    totals = np.concatenate([np.zeros((1, voices.shape[1])), np.cumsum(voices, axis=0, dtype=np.float64)])
    suspected, to_search = [], [(0, len(voices))]
    while to_search:
        first, end = to_search.pop()
        moments = np.arange(first + size, end)  # a window begins there, and another has just ended
        if not len(moments):
            continue
        before = totals[moments - size + 1] - totals[np.maximum(first, moments - context)]
        after = totals[np.minimum(end, moments + context - size + 1)] - totals[moments]
        cosines = _cosines(before, after)
        lowest = int(np.argmin(cosines))
        if cosines[lowest] < config.max_different:
            moment = int(moments[lowest])
            suspected.append(moment * config.hop_s)
            to_search += [(first, moment - size + 1), (moment, end)]
    return sorted(suspected)


def _place_changes(times: list[float], fine: np.ndarray, *, seconds: float, config: ChangeConfig) -> list[float]:
    """Move each change to where the sums of the short windows before and after, up to its neighbours, are longest.

    This is the most likely place of a change between two von Mises-Fisher distributions of equal concentration.
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
    """Drop the changes between similar pieces; the most similar pieces are joined first."""
    kept = list(times)
    while kept:
        ends = list(pairwise([0.0, *kept, seconds]))
        means = np.stack([_piece_embedding(voices, start, end, config) for start, end in ends])
        cosines = _cosines(means[:-1], means[1:])
        highest = int(np.argmax(cosines))
        if cosines[highest] < config.max_different:
            break
        del kept[highest]
    return kept


def _piece_embedding(voices: np.ndarray, start_s: float, end_s: float, config: ChangeConfig) -> np.ndarray:
    """Return the sum of the embeddings of windows inside a piece, or the nearest window's where none is inside."""
    starts = np.arange(len(voices)) * config.hop_s
    inside = (starts >= start_s - 1e-6) & (starts + config.window_s <= end_s + 1e-6)
    if not inside.any():
        inside = np.arange(len(voices)) == np.abs(starts + config.window_s / 2 - (start_s + end_s) / 2).argmin()
    return np.asarray(voices[inside].sum(0, dtype=np.float64))


def _move_to_pauses(times: list[float], levels_db: np.ndarray, *, seconds: float, config: ChangeConfig) -> list[float]:
    """Move each change to the deepest dip of the level nearby."""
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
