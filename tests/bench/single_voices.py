"""Phrases of LibriSpeech voices: one clip each, cut on its pauses, put together to turns and readings.

A voice has about 12 s here, so its phrases recur, in other order, company, room, level and band each time.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from models.data.kept_out import is_kept_out

FRAME = SAMPLE_RATE // 100
MIN_CLIP_S = 9.0
_ABOVE_FLOOR_DB, _BELOW_PEAK_DB = 12.0, 35.0
_MIN_PAUSE_S, _MIN_PHRASE_S, _EDGE_S = 0.15, 0.3, 0.03
_JOINED_S = 0.3  # a shorter pause belongs to the speech around it in the reference


@dataclass(frozen=True)
class Voice:
    """A speaker's only clip, and where its phrases lie in it (samples)."""

    speaker: str
    gender: str
    waveform: np.ndarray  # (time,) float32 at 16 kHz
    phrases: list[tuple[int, int]]


@dataclass(frozen=True)
class Stretch:
    """A piece of one voice: `speech` are the intervals in which it is heard, in samples."""

    waveform: np.ndarray
    speech: list[tuple[int, int]]


def is_dev(speaker: str) -> bool:
    """Return whether a speaker is of the eighth that thresholds are set on: neither kept out nor trained on."""
    return int(digest(speaker.encode(), 8), 16) % 8 == 1


CHOICES = {
    "kept-out": is_kept_out,
    "dev": is_dev,
    "train": lambda speaker: not is_kept_out(speaker) and not is_dev(speaker),
}


def read_voices(folder: Path, corpus: str, choice: str) -> list[Voice]:
    """Return the chosen voices of a corpus with `labels.csv` whose clip lasts `MIN_CLIP_S`, in the order of labels.

    `choice` is one of `CHOICES`, or a file that names speakers, one a line.
    """
    is_chosen = CHOICES[choice] if choice in CHOICES else set(Path(choice).read_text().split()).__contains__
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == corpus and is_chosen(row["speaker"])]
    voices = []
    for row in sorted(rows, key=lambda row: row["speaker"]):
        if float(row["duration_s"]) >= MIN_CLIP_S:
            waveform, rate = sf.read(folder / row["path"], dtype="float32")
            if rate != SAMPLE_RATE or waveform.ndim > 1:
                raise SystemExit(f"expected 16 kHz mono, found {rate} Hz, {waveform.ndim} dimensions in {row['path']}")
            voices.append(Voice(row["speaker"], row["gender"], waveform, phrases(waveform)))
    return voices


def phrases(waveform: np.ndarray) -> list[tuple[int, int]]:
    """Return the speech between pauses of at least 0.15 s, by energy alone: independent of the VAD that is judged.

    >>> tone = np.sin(np.arange(16_000)).astype(np.float32)
    >>> [(a / 16_000, b / 16_000) for a, b in phrases(np.concatenate([0 * tone, tone, 0 * tone[:8_000], tone]))]
    [(0.97, 2.03), (2.47, 3.5)]
    """
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    level_db = 10 * np.log10(np.square(frames).mean(1) + 1e-10)
    floor_db, peak_db = np.percentile(level_db, 5), np.percentile(level_db, 99)
    heard = level_db > min(max(floor_db + _ABOVE_FLOOR_DB, peak_db - _BELOW_PEAK_DB), peak_db - 15)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], heard, [False]]).astype(int)))
    spans = join([(int(a) * FRAME, int(b) * FRAME) for a, b in edges.reshape(-1, 2)], _MIN_PAUSE_S)
    edge = round(_EDGE_S * SAMPLE_RATE)
    kept = [(a, b) for a, b in spans if b - a >= _MIN_PHRASE_S * SAMPLE_RATE]
    return [(max(0, a - edge), min(len(waveform), b + edge)) for a, b in kept]


def join(spans: list[tuple[int, int]], gap_s: float) -> list[tuple[int, int]]:
    """Return sorted spans, those less than `gap_s` apart joined.

    >>> join([(0, 100), (200, 300), (90_000, 90_100)], 0.1)
    [(0, 300), (90000, 90100)]
    """
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < gap_s * SAMPLE_RATE:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def stretch(voice: Voice, seconds: float, random: np.random.Generator) -> Stretch:
    """Return about `seconds` of a voice, from a phrase drawn at random on; after the clip's end from its beginning.

    Pauses are those of the clip, at most 0.8 s; the last phrase is cut where the time is over.
    """
    size, place = round(seconds * SAMPLE_RATE), int(random.integers(len(voice.phrases)))
    parts: list[np.ndarray] = []
    speech: list[tuple[int, int]] = []
    length = 0
    while size - length > _MIN_PHRASE_S * SAMPLE_RATE:
        start, end = voice.phrases[place]
        phrase = fade(voice.waveform[start:end][: size - length])
        speech.append((length, length + len(phrase)))
        following = voice.phrases[place + 1][0] if place + 1 < len(voice.phrases) else end + SAMPLE_RATE // 2
        pause = np.zeros(min(following - end, round(0.8 * SAMPLE_RATE)), np.float32)
        parts += [phrase, pause]
        length += len(phrase) + len(pause)
        place = (place + 1) % len(voice.phrases)
    return Stretch(np.concatenate(parts)[: speech[-1][1]], join(speech, _JOINED_S))


def fade(waveform: np.ndarray, samples: int = 80) -> np.ndarray:
    """Return a copy whose ends rise from and fall to silence."""
    ramp = np.minimum(1.0, np.arange(len(waveform)) / samples)
    return (waveform * ramp * ramp[::-1]).astype(np.float32)
