"""Speech segments from probabilities: properties of any recording, and a few worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.segmentation.config import VadConfig
from features.segmentation.segments import Span, speech_segments

CHUNK_S = 0.032
PLAIN = VadConfig(min_speech_s=0.0, min_pause_s=0.0, pad_s=0.0)


def segments(probabilities, config=PLAIN, seconds=None):
    values = np.array(probabilities, np.float32)
    return speech_segments(values, seconds=len(values) * CHUNK_S if seconds is None else seconds, config=config)


def chunks(*pairs):
    """Spans by chunk."""
    return [Span(pytest.approx(start * CHUNK_S), pytest.approx(end * CHUNK_S)) for start, end in pairs]


def test_a_segment_opens_at_the_threshold_and_closes_below_the_release():
    assert segments([0.1, 0.4, 0.6, 0.4, 0.4, 0.3, 0.4, 0.1]) == chunks((2, 5))
    assert segments([0.9, 0.9]) == chunks((0, 2))
    assert segments([0.4, 0.49, 0.4]) == []


def test_short_pauses_are_bridged_and_short_speech_is_dropped():
    config = VadConfig(min_speech_s=3.5 * CHUNK_S, min_pause_s=2.5 * CHUNK_S, pad_s=0)
    assert segments([1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0], config) == chunks((0, 6))


def test_padding_stops_at_neighbours_and_at_the_ends():
    config = VadConfig(min_speech_s=0, min_pause_s=0, pad_s=3 * CHUNK_S)
    assert segments([0, 1, 0, 0, 1, 1, *[0] * 9], config) == chunks((0, 3), (3, 9))
    assert segments([0, 1, 1], config, seconds=2.5 * CHUNK_S) == chunks((0, 2.5))


def test_a_long_segment_is_split_at_its_deepest_pause():
    values = np.full(700, 0.95)  # 22.4 s
    values[300:310], values[500:505] = 0.5, 0.7
    found = segments(values)
    assert len(found) == 2
    assert found[0].end_s == pytest.approx(305 * CHUNK_S, abs=5 * CHUNK_S)
    assert found[1].start_s == found[0].end_s


def test_silence_and_constant():
    assert segments([]) == []
    assert segments(np.zeros(100)) == []
    assert segments(np.full(100, 0.2)) == []
    steady = segments(np.ones(1000), VadConfig(max_segment_s=10.0))
    assert [round(span.end_s - span.start_s, 1) for span in steady] == [8.0, 8.0, 8.0, 8.0]


@st.composite
def recordings(draw):
    """Stretches of speech-like, pause-like and doubtful chunks."""
    kinds = st.tuples(st.floats(0, 1), st.integers(1, 400), st.floats(0, 0.3))
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    parts = [level + spread * rng.standard_normal(n) for level, n, spread in draw(st.lists(kinds, max_size=8))]
    values = np.clip(np.concatenate([np.empty(0), *parts]), 0, 1).astype(np.float32)
    return values, max(0.0, len(values) - draw(st.floats(0, 1, exclude_max=True))) * CHUNK_S


configs = st.builds(
    VadConfig,
    threshold=st.floats(0.4, 0.9),
    release=st.floats(0.05, 0.4),
    min_speech_s=st.floats(0, 0.5),
    min_pause_s=st.floats(0, 1),
    pad_s=st.floats(0, 0.5),
    max_segment_s=st.floats(1, 30),
)


@given(recording=recordings(), config=configs)
def test_spans_are_ordered_disjoint_inside_and_never_too_long(recording, config):
    values, seconds = recording
    found = speech_segments(values, seconds=seconds, config=config)
    assert all(0 <= span.start_s < span.end_s <= seconds for span in found)
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    assert all(span.end_s - span.start_s <= config.max_segment_s + 1e-9 for span in found)
    if config.min_speech_s < 0.2 * config.max_segment_s:
        assert all(span.end_s - span.start_s >= config.min_speech_s - 1e-9 for span in found)


@given(recording=recordings(), config=configs)
def test_no_speech_is_lost(recording, config):
    values, seconds = recording
    found = speech_segments(values, seconds=seconds, config=config)
    loud = np.append(values >= config.threshold, False)
    starts = np.flatnonzero(np.diff(np.concatenate([[False], loud]).astype(int)) == 1)
    for start in starts:
        start_s = start * CHUNK_S
        end_s = min((start + np.argmin(loud[start:])) * CHUNK_S, seconds)
        if end_s - start_s >= config.min_speech_s and end_s > start_s:
            covered = sum(max(0.0, min(span.end_s, end_s) - max(span.start_s, start_s)) for span in found)
            assert math.isclose(covered, end_s - start_s, abs_tol=1e-6)
