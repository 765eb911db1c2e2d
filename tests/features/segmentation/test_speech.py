"""Voice activity detection: streaming gives the same as the whole signal."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from features.decode.recording import decode
from features.segmentation.config import CHUNK, VadConfig
from features.segmentation.segments import Span
from features.segmentation.speech import StreamingDetector, chunk_powers, detect_speech, speech_mask

RATE = 16_000


@pytest.fixture(scope="module")
def speech(sample) -> np.ndarray:
    clips = [decode(path.read_bytes()).waveform for path in sorted(sample.glob("2026/11/19/*.flac"))]
    return np.concatenate([np.pad(clip, (0, 10_000)) for clip in clips])[: 90 * RATE]


@pytest.mark.parametrize("method", ["silero", "energy"])
def test_streaming_gives_the_same_as_the_whole(speech, method, device):
    config = VadConfig(method=method)
    (whole,) = detect_speech([speech], config, device)
    detector = StreamingDetector(config, device)
    for start in range(0, len(speech), 32 * RATE):
        detector.add(speech[start : start + 32 * RATE])
    found = detector.finish()
    np.testing.assert_allclose(found.activity.probabilities, whole.probabilities, atol=1e-4)
    np.testing.assert_allclose(found.activity.powers, whole.powers, rtol=1e-6)
    assert found.spans == whole.spans(seconds=len(speech) / RATE, config=config)
    assert len(found.spans) > 5


@pytest.mark.parametrize("method", ["silero", "energy"])
def test_batch_matches_single(speech, method, device):
    config = VadConfig(method=method)
    pieces = [speech[:50_000], speech[50_000:50_300], speech[70_000:200_000]]
    together = detect_speech(pieces, config, device)
    for piece, heard in zip(pieces, together, strict=True):
        (alone,) = detect_speech([piece], config, device)
        np.testing.assert_allclose(heard.probabilities, alone.probabilities, atol=1e-5)
        assert len(heard.probabilities) == len(heard.powers) == -(-len(piece) // CHUNK)


def test_both_methods_agree_on_clear_speech(speech):
    cpu = torch.device("cpu")
    (silero,), (energy,) = (detect_speech([speech], VadConfig(method=method), cpu) for method in ("silero", "energy"))
    sure = (silero.probabilities > 0.9) | (silero.probabilities < 0.1)
    agree = (silero.probabilities > 0.5) == (energy.probabilities > 0.5)
    assert agree[sure].mean() > 0.8
    assert VadConfig(method="energy").fingerprint() != VadConfig().fingerprint()


@settings(max_examples=30)
@given(n=st.integers(1, 3_000), seed=st.integers(0, 99))
def test_powers_are_mean_squares(n, seed):
    samples = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    expected = [np.mean(samples[start : start + CHUNK] ** 2) for start in range(0, n, CHUNK)]
    np.testing.assert_allclose(chunk_powers(samples), expected, rtol=1e-4)


def test_a_mask_covers_the_spans():
    mask = speech_mask([Span(0.064, 0.16), Span(0.32, 9.0)], 15)
    assert np.flatnonzero(mask).tolist() == [2, 3, 4, 10, 11, 12, 13, 14]
