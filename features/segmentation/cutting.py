"""Cut spans of speech out of a recording that comes window by window, holding no more of it than is needed."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data_contracts.rejects import Reject
from features.decode.config import SAMPLE_RATE
from features.decode.windows import WINDOW_S, Window
from features.quality.measures import Measures
from features.segmentation.segments import Span


def window_range(spans: Iterable[Span]) -> tuple[int, int]:
    """Return the windows [first, last) in which the spans lie.

    >>> window_range([Span(40.0, 63.9), Span(60.0, 64.1)])
    (1, 3)
    """
    ends = [(int(span.start_s // WINDOW_S), int(-(-span.end_s // WINDOW_S))) for span in spans]
    return min((first for first, _ in ends), default=0), max((last for _, last in ends), default=0)


def cut_span(waveform: np.ndarray, span: Span, *, first_sample: int = 0) -> np.ndarray:
    """Return a span's samples of a (time,) waveform that begins with the recording's sample `first_sample`."""
    return waveform[round(span.start_s * SAMPLE_RATE) - first_sample : round(span.end_s * SAMPLE_RATE) - first_sample]


def cut_spans(
    items: Iterable[Window | Measures | Reject], spans: Sequence[tuple[int, Span]]
) -> Iterator[tuple[int, Span, np.ndarray] | Reject]:
    """Yield channel, span and (time,) samples of each span, by channel in the order of time; or a Reject and stop."""
    waiting: dict[int, list[Span]] = {}
    for channel, span in spans:
        waiting.setdefault(channel, []).append(span)
    buffers: dict[int, tuple[int, np.ndarray]] = {}  # by channel: first sample, samples
    for item in items:
        if isinstance(item, Reject):
            yield item
            return
        if not isinstance(item, Window) or not waiting.get(item.channel):
            continue
        first, samples = buffers.get(item.channel, (item.start, np.empty(0, np.float32)))
        samples = np.concatenate([samples, item.samples])
        queue, end = waiting[item.channel], first + len(samples)
        while queue and round(queue[0].end_s * SAMPLE_RATE) <= end:
            span = queue.pop(0)
            yield item.channel, span, cut_span(samples, span, first_sample=first).copy()
        needed = max(first, min(end, round(queue[0].start_s * SAMPLE_RATE))) if queue else end
        buffers[item.channel] = (needed, samples[needed - first :])
    for channel, queue in waiting.items():  # the last span may end beyond the last sample, by rounding
        first, samples = buffers.get(channel, (0, np.empty(0, np.float32)))
        yield from ((channel, span, cut_span(samples, span, first_sample=first).copy()) for span in queue)
