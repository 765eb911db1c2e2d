"""Spans cut from windows are the samples of the whole recording."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.rejects import Reason, Reject
from features.decode.windows import Window
from features.segmentation.cutting import cut_span, cut_spans
from features.segmentation.segments import Span

RATE = 16_000
WHOLE = np.arange(RATE * 3, dtype=np.float32)


def _windows(samples: np.ndarray, channel: int, sizes: list[int], at: int = 0) -> list[Window]:
    windows = []
    for size in [*sizes, len(samples) - at]:
        windows.append(Window(channel, at, samples[at : at + size]))
        at += size
    return [window for window in windows if len(window.samples)]


@given(
    sizes=st.lists(st.integers(1, RATE), max_size=4),
    edges=st.lists(st.floats(0.0, 3.0), min_size=2, max_size=10, unique=True),
)
def test_spans_over_any_windows(sizes, edges):
    edges = sorted(edges)
    spans = [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    channel_spans = [(channel, span) for span in spans for channel in (0, 1)]
    items = [item for pair in zip(_windows(WHOLE, 0, sizes), _windows(-WHOLE, 1, sizes), strict=True) for item in pair]
    found = list(cut_spans(items, channel_spans))
    for channel, sign in ((0, 1), (1, -1)):
        own = [(span, samples) for number, span, samples in found if number == channel]
        assert [span for span, _ in own] == spans
        for span, samples in own:
            assert np.array_equal(samples, sign * cut_span(WHOLE, span))


def test_windows_from_the_middle():
    spans = [(0, Span(1.5, 1.75)), (0, Span(2.0, 3.0))]
    found = list(cut_spans(_windows(WHOLE, 0, [5_000, 7_000], at=RATE), spans))
    for (_, span), (_, _, samples) in zip(spans, found, strict=True):
        assert np.array_equal(samples, cut_span(WHOLE, span))


def test_a_reject_ends_the_cutting():
    reject = Reject(Reason.CORRUPT, "x")
    found = list(cut_spans([*_windows(WHOLE, 0, [RATE])[:1], reject], [(0, Span(0.0, 0.5)), (0, Span(2.0, 3.0))]))
    assert found[0][1] == Span(0.0, 0.5)
    assert found[1:] == [reject]
