"""Speaker changes in synthetic embeddings, and cutting spans at them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features.decode.config import SAMPLE_RATE
from features.extraction.config import FeatureConfig
from features.segmentation.segments import Span
from features.segmentation.speaker_changes import (
    ChangeConfig,
    SlidingEmbedder,
    change_times,
    frame_levels_db,
    split_at_changes,
)

CONFIG = ChangeConfig()
CPU = torch.device("cpu")
DIM = 16


def _voices(names: Sequence[int], edges_s: Sequence[float], *, noise: float = 0.0, seed: int = 0) -> list[np.ndarray]:
    """Synthetic embeddings of the windows of a span: voice `names[i]` speaks from edge i to edge i + 1.

    A window is the mix of those who speak in it.
    """
    random, found = np.random.default_rng(seed), []
    for window_s in (CONFIG.window_s, CONFIG.fine_s):
        starts = np.arange(round((edges_s[-1] - window_s) / CONFIG.hop_s) + 1) * CONFIG.hop_s
        mixed = np.zeros((len(starts), DIM))
        for name, start_s, end_s in zip(names, edges_s, edges_s[1:], strict=False):
            mixed[:, name] += np.clip(np.minimum(starts + window_s, end_s) - np.maximum(starts, start_s), 0, None)
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        mixed += noise * random.standard_normal(mixed.shape) / np.sqrt(DIM)
        found.append((mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32))
    return found


def _flat(seconds: float) -> np.ndarray:
    return np.full(round(seconds * 100), -20.0)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(
    ("names", "edges_s"),
    [
        ((0, 1), (0, 5, 10)),
        ((0, 1), (0, 2, 6)),
        ((0, 1, 0), (0, 4, 7, 12)),
        ((0, 1, 2, 1), (0, 3, 6.5, 9.5, 14)),
    ],
)
def test_changes_are_found_at_their_times(names, edges_s, noise):
    found = change_times(*_voices(names, edges_s, noise=noise), _flat(edges_s[-1]), config=CONFIG)
    assert found == pytest.approx(edges_s[1:-1], abs=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_one_voice_has_no_change_however_long_and_noisy(seed):
    assert change_times(*_voices((0,), (0, 15), noise=1.0, seed=seed), _flat(15), config=CONFIG) == []


def test_a_voice_that_moves_a_little_is_one_voice():
    """Two moods: a cosine of 0.6, under the encoder's threshold and yet not another voice."""
    voices = [(own @ _rotate(0.6)).astype(np.float32) for own in _voices((0, 1), (0, 5, 10))]
    assert change_times(*voices, _flat(10), config=CONFIG) == []
    assert len(change_times(*voices, _flat(10), config=replace(CONFIG, different=1.0))) == 1


def _rotate(cosine: float) -> np.ndarray:
    turned = np.eye(DIM)
    turned[1, :2] = cosine, np.sqrt(1 - cosine**2)
    return turned


def test_a_change_goes_to_the_pause_beside_it_and_not_to_a_far_one():
    loud = _flat(10)
    loud[515:525] = -50.0
    loud[600:620] = -90.0
    assert change_times(*_voices((0, 1), (0, 5, 10)), loud, config=CONFIG) == pytest.approx([5.2], abs=0.06)


def test_the_short_windows_place_the_change():
    """The long ones only say that there is a change, here half a second too early."""
    (voices, _), (_, fine) = _voices((0, 1), (0, 5, 10)), _voices((0, 1), (0, 5.5, 10))
    assert change_times(voices, fine, _flat(10), config=CONFIG) == pytest.approx([5.5], abs=0.15)


def test_a_span_shorter_than_two_windows_has_no_change():
    assert change_times(*_voices((0, 1), (0, 2, 3.75)), _flat(3.75), config=CONFIG) == []


def test_levels_are_of_power_in_decibels():
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    found = frame_levels_db(np.concatenate([tone, np.zeros(SAMPLE_RATE)]).astype(np.float32))
    assert found.shape == (200,)
    assert found[50] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
    assert found[150] == -90.0


def _embedder_of(
    edges_s: Sequence[float], names: Sequence[int], lengths_seen: list[int] | None = None
) -> SlidingEmbedder:
    """Says the same of every row, cut to its length."""

    def embed_sliding(_: torch.Tensor, lengths: torch.Tensor, windows_s: Sequence[float], hop_s: float):
        assert (tuple(windows_s), hop_s) == ((CONFIG.window_s, CONFIG.fine_s), CONFIG.hop_s)
        if lengths_seen is not None:
            lengths_seen.extend(lengths.tolist())
        seconds = (lengths / SAMPLE_RATE).tolist()
        return [
            [own[: int((s - window_s) / hop_s) + 1] for own, window_s in zip(voices, windows_s, strict=True)]
            for s, voices in ((s, _voices(names, edges_s)) for s in seconds)
        ]

    return embed_sliding


def _split(spans: list[Span], embed_sliding: SlidingEmbedder | None, config: ChangeConfig = CONFIG) -> list[Span]:
    waveform = np.random.default_rng(0).standard_normal(round(61 * SAMPLE_RATE)).astype(np.float32)
    return split_at_changes({"a": waveform}, {"a": spans}, embed_sliding, config=config, device=CPU)["a"]


def test_long_spans_are_cut_and_short_ones_are_not_embedded():
    lengths_seen: list[int] = []
    found = _split([Span(1.0, 4.5), Span(5.0, 15.0), Span(16.0, 19.9)], _embedder_of((0, 4, 10), (0, 1), lengths_seen))
    assert lengths_seen == [10 * SAMPLE_RATE]
    assert len(found) == 4
    assert found[1:3] == [Span(5.0, found[2].start_s), Span(found[1].end_s, 15.0)]
    assert found[1].end_s == pytest.approx(9.0, abs=0.3)


@given(
    gaps=st.lists(st.tuples(st.floats(0, 2), st.floats(0.2, 15)), max_size=6).filter(lambda g: sum(map(sum, g)) < 60),
    edges=st.lists(st.floats(0.1, 4), min_size=1, max_size=12),
)
def test_pieces_cover_the_same_time_as_the_spans_in_order(gaps, edges):
    spans, now = [], 0.0
    for pause_s, length_s in gaps:
        spans.append(Span(now + pause_s, now + pause_s + length_s))
        now = spans[-1].end_s
    times = [0.0, *np.cumsum([*edges, 60.0])]
    found = _split(spans, _embedder_of(times, [place % 3 for place in range(len(times) - 1)]))
    for piece in found:
        assert piece.end_s > piece.start_s
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    joined: list[Span] = []
    starts = {span.start_s for span in spans}
    for piece in found:
        if joined and piece.start_s == joined[-1].end_s and piece.start_s not in starts:
            joined[-1] = Span(joined[-1].start_s, piece.end_s)
        else:
            joined.append(piece)
    assert joined == spans
    own = {(span.start_s, span.end_s) for span in spans}
    assert all(piece.end_s - piece.start_s >= CONFIG.least_s - 1e-6 for piece in found if tuple(piece) not in own)


@pytest.mark.parametrize(
    ("embed_sliding", "config"),
    [(None, CONFIG), (_embedder_of((0, 5, 10), (0, 1)), replace(CONFIG, enabled=False))],
    ids=["nobody tells voices apart", "not asked for"],
)
def test_spans_are_unchanged_without_an_embedder_or_if_disabled(embed_sliding, config):
    assert _split([Span(0.0, 10.0)], embed_sliding, config) == [Span(0.0, 10.0)]


def test_the_configuration_is_part_of_the_feature_version():
    versions = {
        FeatureConfig(changes=changes).version("encoder")
        for changes in (CONFIG, replace(CONFIG, different=0.5), replace(CONFIG, enabled=False))
    }
    assert len(versions) == 3
    off = replace(CONFIG, enabled=False)
    assert off.fingerprint() == replace(off, different=0.5).fingerprint()


@pytest.mark.parametrize("wrong", [{"window_s": 1.9}, {"fine_s": 0.1}, {"least_s": 0.0}, {"context_s": 1.0}])
def test_a_configuration_that_does_not_fit_is_refused(wrong: dict[str, float]):
    with pytest.raises(UsageError, match="expected"):
        replace(CONFIG, **wrong)
