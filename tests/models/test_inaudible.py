"""A recording is read alike with an offset, rumble or hum: its segments, features, voice and emotion."""

import functools
import io
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.paths import SAMPLE, WEIGHTS
from helpers.sound import RATE, noise_array
from scipy.signal import butter, sosfilt

from features.decode.config import AudioConfig
from features.decode.recording import decode
from features.extraction.shard import find_speech_spans
from features.segmentation.config import VadConfig
from models.emotion.dataset import all_features
from models.emotion.model import EmotionModel
from models.speaker.model import SpeakerModel
from models.speaker.trials import embed_all

CLIPS = ("19/call-0001-voice-a.flac", "20/call-0012-voice-b.flac", "20/call-0013-voice-c.flac")
MOVED_EDGE_S, MOVED_SCORE, LEAST_COSINE = 0.033, 0.1, 0.99  # docs/guarantees.md
MOVED_FEATURE = 0.1  # training's standard deviations, on average


@dataclass(frozen=True)
class Reading:
    """What the pipeline reads of the clips, row for row."""

    edges_s: list[np.ndarray]
    features: torch.Tensor  # (clips, features), standardised
    vectors: np.ndarray  # (clips, dim)
    scores: np.ndarray  # (clips, classes)


def sine(n, hz, level_db):
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(n) / RATE)


def rumble(n):
    return sosfilt(butter(8, 30, fs=RATE, output="sos"), noise_array(n, level=1.0))


TWINS = {
    "offset 0.5%": lambda clip: clip + 0.005,
    "offset 5%": lambda clip: clip - 0.05,
    "50 Hz, -50 dBFS": lambda clip: clip + sine(len(clip), 50, -50),
    "50 Hz, -30 dBFS": lambda clip: clip + sine(len(clip), 50, -30),
    "60 Hz, -30 dBFS": lambda clip: clip + sine(len(clip), 60, -30),
    "rumble": lambda clip: clip + rumble(len(clip)),
}


@functools.cache
def clips():
    found = [sf.read(SAMPLE / "2026" / "11" / name, dtype="float32") for name in CLIPS]
    assert all(rate == RATE for _, rate in found)
    return [0.8 * clip for clip, _ in found]


def read(samples, config=AudioConfig()):
    waveforms = []
    for clip in samples:
        sink = io.BytesIO()
        sf.write(sink, clip, RATE, format="WAV", subtype="PCM_16")
        waveforms.append(decode(sink.getvalue(), config=config).waveform)
    spans = find_speech_spans(waveforms, VadConfig(), torch.device("cpu"))
    spoken = [
        np.concatenate([waveform[round(s.start_s * RATE) : round(s.end_s * RATE)] for s in found])
        for waveform, found in zip(waveforms, spans, strict=True)
    ]
    features, model = all_features(spoken), EmotionModel.load(WEIGHTS / "emotion")
    return Reading(
        [np.array([(span.start_s, span.end_s) for span in found]) for found in spans],
        model.standardise(features),
        embed_all(SpeakerModel.load(WEIGHTS / "speaker"), spoken),
        model.scores(features).numpy(),
    )


@functools.cache
def clean():
    return read(clips())


@pytest.mark.parametrize("name", TWINS)
def test_what_is_not_heard_moves_nothing(name):
    found = read([TWINS[name](clip) for clip in clips()])
    for edges, expected in zip(found.edges_s, clean().edges_s, strict=True):
        np.testing.assert_allclose(edges, expected, rtol=0, atol=MOVED_EDGE_S)
    assert (found.features - clean().features).abs().mean() < MOVED_FEATURE
    assert (found.vectors * clean().vectors).sum(1).min() > LEAST_COSINE
    assert np.abs(found.scores - clean().scores).max() < MOVED_SCORE
    np.testing.assert_array_equal(found.scores.argmax(1), clean().scores.argmax(1))


def test_what_is_left_as_it_is_does_move():
    """The reason for all this: without the filter an offset of 5 % is another voice."""
    config = AudioConfig(dc="none")
    found, expected = (read(samples, config) for samples in ([TWINS["offset 5%"](clip) for clip in clips()], clips()))
    assert (found.features - expected.features).abs().mean() > 3 * MOVED_FEATURE
    assert (found.vectors * expected.vectors).sum(1).min() < LEAST_COSINE
