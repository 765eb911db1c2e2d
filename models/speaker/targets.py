"""Targets of the speaker encoder's student: what its teachers say of every voice, as one unit vector each.

W and R are centred by corpus, so that a corpus' microphones and rooms are no part of a voice, and count alike. Their
join is turned onto its main directions: the student's cosines are then the teachers' own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech
from models.data.pitch_shift import change_voice
from models.speaker.teachers import Teachers


@dataclass(frozen=True)
class Voice:
    """Clips of one labelled speaker, or one clip of nobody knows whom."""

    name: str
    corpus: str
    clips: list[np.ndarray]  # float32 at 16 kHz

    def pieces(self, longest_s: float) -> list[np.ndarray]:
        """Return the clips joined, in pieces of at most so many seconds, of about one length."""
        joined = np.concatenate(self.clips)
        return np.array_split(joined, max(1, -(-len(joined) // round(longest_s * SAMPLE_RATE))))


def group_voices(speech: Sequence[Speech]) -> list[Voice]:
    """Return the voices in the order of their names; an unlabelled clip is a voice of its own."""
    found: dict[str, Voice] = {}
    for item in speech:
        name = voice_name(item)
        found.setdefault(name, Voice(name, item.clip.corpus, [])).clips.append(item.waveform)
    return [found[name] for name in sorted(found)]


def voice_name(item: Speech) -> str:
    """Return the speaker's label, or the recording's id where there is none."""
    return item.clip.speaker or item.recording_id


def ask_teachers(
    teachers: Teachers, voices: Sequence[Voice], speeds: Sequence[float], *, longest_s: float
) -> dict[float, np.ndarray]:
    """Return W beside R, (n, 512), of the voices at each speed: their means over the pieces."""
    pieces = [voice.pieces(longest_s) for voice in voices]
    rows = np.repeat(np.arange(len(voices)), [len(part) for part in pieces])
    found = {}
    for speed in speeds:
        vectors = teachers.embed([change_voice(piece, speed=speed) for part in pieces for piece in part])
        total = np.zeros((len(voices), vectors.shape[1]))
        np.add.at(total, rows, vectors)
        found[speed] = total
    return found


def make_targets(
    said: Mapping[float, np.ndarray],  # (n, 512) by speed
    corpora: np.ndarray,  # (n,)
    *,
    dim: int,
) -> np.ndarray:  # (speeds · n, dim) float32 of unit length, speed by speed
    """Return the teachers' vectors, centred and joined, on their `dim` main directions (an orthogonal projection)."""
    halves = [
        np.concatenate(columns)
        for columns in zip(*(map(_unit, np.split(vectors, 2, axis=1)) for vectors in said.values()), strict=True)
    ]
    speeds = np.repeat(list(said), len(corpora))
    corpus = np.tile(corpora, len(said))
    natural = min(said, key=lambda speed: abs(speed - 1))
    for half in halves:
        for name in np.unique(corpora):
            rows = corpus == name
            half[rows] -= half[rows & (speeds == natural)].mean(0)
    joined = np.concatenate([_unit(half) for half in halves], axis=1)
    *_, directions = np.linalg.svd(joined, full_matrices=False)
    turned = np.zeros((len(joined), dim))  # fewer voices than `dim` leave directions empty
    turned[:, : len(directions)] = joined @ directions[:dim].T
    return np.asarray(_unit(turned), np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9))
