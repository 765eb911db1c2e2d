"""Speech segments from probabilities of speech, one each 32 ms: the spans that become utterances."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from features.segmentation.config import CHUNK, VadConfig

_CHUNK_S = CHUNK / 16_000
_SMOOTHING = 5  # chunks: a pause shows over 160 ms
_MIN_PIECE_SHARE = 0.2  # of max_segment_s: no piece of a split segment is shorter


class Span(NamedTuple):
    """A stretch of a recording, seconds from its start."""

    start_s: float
    end_s: float


def speech_segments(
    probabilities: np.ndarray,  # (chunks,), 0 to 1
    *,
    seconds: float,
    config: VadConfig,
) -> list[Span]:
    """Return ordered, disjoint spans of speech in [0, seconds], each of max_segment_s at most.

    Speech begins at a chunk of `threshold` and goes on while chunks stay at `release` (hysteresis); shorter pauses
    than min_pause_s belong to it, shorter speech than min_speech_s does not count. Each span is widened by pad_s, up
    to half of the pause beside it, and split where it is too long.
    """
    probabilities = probabilities[: math.ceil(seconds / _CHUNK_S)]
    runs = _join_short_pauses(_find_runs(probabilities, config), min_pause_s=config.min_pause_s)
    ends_s = [(start * _CHUNK_S, min(end * _CHUNK_S, seconds)) for start, end in runs]
    kept = [Span(start, end) for start, end in ends_s if end - start >= config.min_speech_s]
    if not kept:
        return []
    smoothed = _smooth(probabilities)
    return [
        piece
        for span in _pad_spans(kept, seconds=seconds, pad_s=config.pad_s)
        for piece in _split_span(span, smoothed, max_s=config.max_segment_s)
    ]


def _find_runs(probabilities: np.ndarray, config: VadConfig) -> list[tuple[int, int]]:
    """Return [start, end) chunks of each run at `release` or above, from its first chunk at `threshold`."""
    edges = np.diff(np.concatenate(([0], probabilities >= config.release, [0])).astype(np.int8))
    opens = np.flatnonzero(probabilities >= config.threshold)
    runs = []
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        first = np.searchsorted(opens, start)
        if first < len(opens) and opens[first] < end:
            runs.append((int(opens[first]), int(end)))
    return runs


def _join_short_pauses(runs: list[tuple[int, int]], *, min_pause_s: float) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and (start - joined[-1][1]) * _CHUNK_S < min_pause_s:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _pad_spans(spans: list[Span], *, seconds: float, pad_s: float) -> list[Span]:
    middles = [(before.end_s + after.start_s) / 2 for before, after in pairwise(spans)]
    return [
        Span(max(span.start_s - pad_s, lowest), min(span.end_s + pad_s, highest))
        for span, lowest, highest in zip(spans, [0.0, *middles], [*middles, seconds], strict=True)
    ]


def _smooth(probabilities: np.ndarray) -> np.ndarray:
    """Return the mean over `_SMOOTHING` chunks around each; at the ends, over those that exist."""
    window = np.ones(_SMOOTHING)
    total = np.convolve(probabilities, window)[_SMOOTHING // 2 :][: len(probabilities)]
    return total / np.convolve(np.ones(len(probabilities)), window)[_SMOOTHING // 2 :][: len(probabilities)]


def _split_span(span: Span, smoothed: np.ndarray, *, max_s: float) -> list[Span]:
    """Cut a long span from the left, each time at the deepest pause that leaves both sides a fifth of `max_s` or more.

    Of equally deep pauses, as in a steady tone, the one nearest to equal pieces is taken.
    """
    pieces, (start_s, end_s), shortest_s = [], span, _MIN_PIECE_SHARE * max_s
    while end_s - start_s > max_s:
        first = math.ceil((start_s + shortest_s) / _CHUNK_S)
        last = math.floor(min(start_s + max_s, end_s - shortest_s) / _CHUNK_S)
        cuts = np.arange(first, last + 1)
        equal = (start_s + (end_s - start_s) / math.ceil((end_s - start_s) / max_s)) / _CHUNK_S
        depths = np.round(np.minimum(smoothed[cuts - 1], smoothed[np.minimum(cuts, len(smoothed) - 1)]), 3)
        cut_s = float(cuts[np.lexsort((np.abs(cuts - equal), depths))[0]] * _CHUNK_S)
        pieces.append(Span(start_s, cut_s))
        start_s = cut_s
    return [*pieces, Span(start_s, end_s)]
