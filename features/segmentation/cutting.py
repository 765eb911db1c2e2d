"""Cutting stretches of speech out of a recording that comes window by window: never more is held than is needed."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data_contracts.rejects import Reject
from features.decode.config import SAMPLE_RATE
from features.decode.windows import WINDOW_S, Window
from features.quality.measures import Measures
from features.segmentation.segments import Span


def window_range(spans: Iterable[Span]) -> tuple[int, int]:
    """The windows [first, last) in which the spans lie.

    >>> window_range([Span(40.0, 63.9), Span(60.0, 64.1)])
    (1, 3)
    """
    ends = [(int(span.start_s // WINDOW_S), int(-(-span.end_s // WINDOW_S))) for span in spans]
    return min((first for first, _ in ends), default=0), max((last for _, last in ends), default=0)


def cut_span(waveform: np.ndarray, span: Span, *, at: int = 0) -> np.ndarray:
    """A span's samples of a (time,) waveform that begins with the recording's sample `at`."""
    return waveform[round(span.start_s * SAMPLE_RATE) - at : round(span.end_s * SAMPLE_RATE) - at]


def cut_spans(
    items: Iterable[Window | Measures | Reject], spans: Sequence[tuple[int, Span]]
) -> Iterator[tuple[int, Span, np.ndarray] | Reject]:
    """Channel, span and (time,) samples of each span, which come by channel in the order of time; or a Reject."""
    waiting: dict[int, list[Span]] = {}
    for channel, span in spans:
        waiting.setdefault(channel, []).append(span)
    held: dict[int, tuple[int, np.ndarray]] = {}
    for item in items:
        if isinstance(item, Reject):
            yield item
            return
        if not isinstance(item, Window) or not waiting.get(item.channel):
            continue
        at, samples = held.get(item.channel, (item.start, np.empty(0, np.float32)))
        samples = np.concatenate([samples, item.samples])
        own = waiting[item.channel]
        while own and round(own[0].end_s * SAMPLE_RATE) <= at + len(samples):
            span = own.pop(0)
            yield item.channel, span, cut_span(samples, span, at=at).copy()
        needed = max(at, min(at + len(samples), round(own[0].start_s * SAMPLE_RATE))) if own else at + len(samples)
        held[item.channel] = (needed, samples[needed - at :])
    for channel, own in waiting.items():  # the last span may end beyond the last sample, by rounding
        at, samples = held.get(channel, (0, np.empty(0, np.float32)))
        yield from ((channel, span, cut_span(samples, span, at=at).copy()) for span in own)
