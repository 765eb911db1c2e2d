"""What the speaker encoder learns from: crops of two seconds or less, of copies of every clip in several voices."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from features.decode.config import SAMPLE_RATE
from models.data.codecs import Codec, transcode
from models.data.labelled_speech import Speech
from models.data.pitch_shift import change_voice, vary_pitch
from models.speaker.recipe import Recipe

_CODECS = (
    Codec(8_000, "WAV", "GSM610"),
    Codec(8_000, "WAV", "ULAW"),
    Codec(8_000, "WAV", "ALAW"),
    Codec(16_000, "OGG", "VORBIS"),
    Codec(16_000, "MP3", "MPEG_LAYER_III"),
)


class Crops:
    """Draws crops at random: a speaker, a speed, one of their clips' copies, then a place and a length.

    Every copy of every clip is made once and kept as int16: minutes of speech · speeds · copies · 2 MB.
    """

    def __init__(self, speech: Sequence[Speech], *, recipe: Recipe, window: int, seed: int) -> None:
        self.recipe, self.window = recipe, window
        self.random = np.random.default_rng(seed)
        self.speakers = sorted({item.clip.speaker for item in speech})
        clips = [[item.waveform for item in speech if item.clip.speaker == name] for name in self.speakers]
        seconds = np.array([sum(map(len, own)) for own in clips], float) / SAMPLE_RATE
        self.chance = seconds**recipe.favour / (seconds**recipe.favour).sum()
        self.copies = [
            make_copies(own, speed, recipe=recipe, random=np.random.default_rng([seed, who, index]))
            for index, speed in enumerate(recipe.speeds)
            for who, own in enumerate(clips)
        ]
        self.n_classes = len(self.copies)

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """(n, window) samples, (n,) classes."""
        speakers = self.random.choice(len(self.speakers), size=n, p=self.chance)
        speeds = self.random.integers(len(self.recipe.speeds), size=n)
        classes = speeds * len(self.speakers) + speakers
        cut = np.stack([self._crop(self.copies[index]) for index in classes])
        return torch.from_numpy(cut.astype(np.float32) / 2**15), torch.from_numpy(classes)

    def _crop(self, copies: list[np.ndarray]) -> np.ndarray:
        lengths = np.array([len(copy) for copy in copies], float)
        copy = copies[self.random.choice(len(copies), p=lengths / lengths.sum())]
        shortest = round(self.recipe.shortest_s * SAMPLE_RATE)
        short = self.random.random() < self.recipe.short
        wanted = int(self.random.integers(shortest, self.window)) if short else self.window
        start = int(self.random.integers(max(1, len(copy) - wanted + 1)))
        return np.resize(copy[start : start + wanted], self.window)


def make_copies(
    clips: Sequence[np.ndarray], speed: float, *, recipe: Recipe, random: np.random.Generator
) -> list[np.ndarray]:
    """int16: of each clip one at its own pitch, the others at pitches drawn for every few seconds; some coded."""
    made = []
    for clip in clips:
        for copy in range(recipe.copies):
            plain = copy == 0
            heard = (
                change_voice(clip, speed=speed)
                if plain
                else vary_pitch(clip, random, speed=speed, octaves=recipe.octaves)
            )
            if not plain and random.random() < recipe.coded:
                heard = transcode(_at_peak(heard, 0.7), _CODECS[random.integers(len(_CODECS))])
            made.append(np.round(_at_peak(heard, 0.9) * 2**15).astype(np.int16))
    return made


def _at_peak(waveform: np.ndarray, peak: float) -> np.ndarray:
    return waveform * (peak / max(1e-6, float(np.abs(waveform).max(initial=0.0))))
