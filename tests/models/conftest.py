"""A corpus of made-up voices: harmonics through a resonance of the speaker's own, moved by the emotion."""

import csv
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from data_contracts.fingerprint import digest
from models import labels
from models.labels import Clip, Speech

RATE = 16_000
_MOODS = {  # pitch, loudness, pace in Hz, breath
    "anger": (1.6, 0.3, 6.0, 0.01),
    "happiness": (1.3, 0.15, 12.0, 0.01),
    "neutral": (1.0, 0.1, 3.0, 0.2),
    "sadness": (0.9, 0.04, 2.0, 0.01),
}


def voice(speaker: int, emotion: str, *, seconds: float, seed: int) -> np.ndarray:
    """(time,) float32: pitch, resonance and tilt are the speaker's; height, loudness, pace and breath the emotion's."""
    height, loudness, pace, breath = _MOODS[emotion]
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    f0_hz = (140 + 6 * speaker) * height * (1 + 0.03 * np.sin(2 * np.pi * pace * time_s + random.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    resonance_hz = 500 + 310 * speaker
    sound = sum(
        np.exp(-(((n * 120 - resonance_hz) / 400) ** 2)) * np.sin(n * phase) + np.sin(n * phase) / n**2
        for n in range(1, 30)
    )
    sound = sound * (0.6 + 0.4 * np.sin(2 * np.pi * pace * time_s)) + breath * random.standard_normal(len(time_s))
    return np.asarray(loudness * sound / np.abs(sound).max(), np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small run faster on one core, and the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of four speakers in one folder: of each, two clips an emotion."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for corpus_name in ("lab", "street"):
        for speaker in range(4):
            for emotion in _MOODS:
                for take in range(2):
                    path = f"{corpus_name}-{speaker}-{emotion}-{take}.wav"
                    sound = voice(speaker, emotion, seconds=1.2 + 0.2 * take, seed=zlib.crc32(path.encode()))
                    sf.write(folder / path, sound, RATE)
                    rows.append((path, f"{corpus_name}{speaker}", emotion, corpus_name, "other"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion", "corpus", "whatever"), *rows])
    return folder


@pytest.fixture
def _all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up voices do not pass for speech: the whole clip counts."""
    from features.segments import Span

    monkeypatch.setattr(
        labels, "find_speech", lambda waveforms, *_: [[Span(0.0, len(waveform) / RATE)] for waveform in waveforms]
    )


@pytest.fixture
def spoken() -> Callable[..., Speech]:
    """Makes a labelled clip of a waveform, without a file."""

    def make(waveform: np.ndarray, *, speaker: str, corpus: str = "lab") -> Speech:
        return Speech(Clip(Path("x.wav"), speaker, "", corpus), digest(waveform.tobytes(), 12), waveform)

    return make
