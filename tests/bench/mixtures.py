"""Synthetic conversations of one voice or two from labelled clips, with known turns."""

from dataclasses import dataclass

import numpy as np

from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech

TURN_S, N_TURNS = (2.0, 6.0), 4
LEVEL, FADE = 0.05, 80  # root mean square of a turn; samples


@dataclass(frozen=True)
class Mixture:
    """A file whose speakers are known: `turns` are their names in order, `changes_s` where one follows another."""

    waveform: np.ndarray
    turns: list[str]
    edges_s: list[float]  # between turns
    gap_s: float = 0.0
    both_sexes: bool = False

    @property
    def changes_s(self) -> list[float]:
        pairs = zip(self.turns, self.turns[1:], self.edges_s, strict=False)
        return [edge for before, after, edge in pairs if before != after]


class Pool:
    """Speech by speaker and emotion."""

    def __init__(self, speech: list[Speech]) -> None:
        self.moods: dict[str, dict[str, list[np.ndarray]]] = {}
        for item in speech:
            self.moods.setdefault(item.clip.speaker, {}).setdefault(item.clip.emotion, []).append(item.waveform)

    def turns(self, speaker: str, n: int, random: np.random.Generator, *, moods: bool) -> list[np.ndarray]:
        """Draw a turn of 2 to 6 s, if possible: no clip twice, and parts of a speaker's only clip in order."""
        own = self.moods[speaker]
        if sum(map(len, own.values())) == 1:
            (clip,) = next(iter(own.values()))
            parts = np.array_split(clip, max(1, min(n, len(clip) // round(TURN_S[0] * SAMPLE_RATE))))
            return [part[: round(random.uniform(*TURN_S) * SAMPLE_RATE)] for part in parts]
        drawn, turns = str(random.choice(sorted(own))), []
        for _ in range(n):
            clips = own[drawn]
            joined = np.concatenate([clips[place] for place in random.permutation(len(clips))])
            turns.append(joined[: round(random.uniform(*TURN_S) * SAMPLE_RATE)])
            others = sorted(set(own) - {drawn})
            drawn = str(random.choice(others)) if moods and others else drawn
        return turns


def mixture(
    pool: Pool, sexes: dict[str, str], random: np.random.Generator, n_voices: int, *, moods: bool, gap_s: float
) -> Mixture:
    """A file of `N_TURNS` turns, of its voices by turns."""
    names = [str(name) for name in random.choice(sorted(pool.moods), n_voices, replace=False)]
    own = {name: pool.turns(name, N_TURNS // n_voices, random, moods=moods) for name in names}
    order = [(name, place) for place in range(N_TURNS) for name in names if place < len(own[name])]
    parts: list[np.ndarray] = []
    edges, length = [], 0
    for name, place in order:
        turn = own[name][place] * (LEVEL / np.sqrt(np.mean(np.square(own[name][place])) + 1e-12))
        turn[:FADE] *= np.linspace(0, 1, FADE)
        turn[-FADE:] *= np.linspace(1, 0, FADE)
        frames = turn[: len(turn) // 160 * 160].reshape(-1, 160)
        quiet = np.sqrt(np.percentile(np.square(frames).mean(1), 5))
        gap = quiet * random.standard_normal(round(gap_s * SAMPLE_RATE))
        length += len(turn) + len(gap)
        edges.append((length - len(gap) / 2) / SAMPLE_RATE)
        parts += [turn, gap]
    waveform = np.concatenate(parts).astype(np.float32)
    both = len({sexes[name] for name in names}) > 1
    return Mixture(waveform, [name for name, _ in order], edges[:-1], gap_s, both)
