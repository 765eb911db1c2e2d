"""Training examples of the speaker encoder: crops of up to two seconds of every clip, in several voices."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from features.decode.config import SAMPLE_RATE
from models.data.codecs import Codec, transcode
from models.data.labelled_speech import Speech
from models.data.pitch_shift import change_voice, vary_pitch
from models.speaker.recipe import SpeakerRecipe
from models.speaker.targets import voice_name

RandomLength = Callable[[np.random.Generator], int]
"""Samples of a crop, drawn anew for each."""

_CODECS = (
    Codec(8_000, "WAV", "GSM610"),
    Codec(8_000, "WAV", "ULAW"),
    Codec(8_000, "WAV", "ALAW"),
    Codec(16_000, "OGG", "VORBIS"),
    Codec(16_000, "MP3", "MPEG_LAYER_III"),
)


class Crops:
    """Draw crops at random: a speaker, a speed, a copy of one of the speaker's clips, then a place and a length.

    Every copy of every clip is made once and kept as int16: minutes of speech · speeds · copies · 2 MB.
    """

    def __init__(self, speech: Sequence[Speech], *, recipe: SpeakerRecipe, window: int, seed: int) -> None:
        self.recipe, self.window = recipe, window
        self.random = np.random.default_rng(seed)
        by_name: dict[str, list[np.ndarray]] = {}
        for item in speech:
            by_name.setdefault(voice_name(item), []).append(item.waveform)
        self.speakers = sorted(by_name)
        clips = [by_name[name] for name in self.speakers]
        seconds = np.array([sum(map(len, waveforms)) for waveforms in clips], float) / SAMPLE_RATE
        self.chance = seconds**recipe.favour / (seconds**recipe.favour).sum()
        self.copies = [
            make_copies(waveforms, speed, recipe=recipe, random=np.random.default_rng([seed, speaker, index]))
            for index, speed in enumerate(recipe.speeds)
            for speaker, waveforms in enumerate(clips)
        ]
        self.n_classes = len(self.copies)

    def draw(
        self, n: int, *, window: int | None = None, random_length: RandomLength | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (n, window) samples and (n,) classes; a shorter crop is repeated until it fills the window."""
        speakers = self.random.choice(len(self.speakers), size=n, p=self.chance)
        speeds = self.random.integers(len(self.recipe.speeds), size=n)
        classes = speeds * len(self.speakers) + speakers
        size, draw_length = window or self.window, random_length or self._random_length
        cut = np.stack([self._crop(self.copies[index], draw_length(self.random), size) for index in classes])
        return torch.from_numpy(cut.astype(np.float32) / 2**15), torch.from_numpy(classes)

    def _random_length(self, random: np.random.Generator) -> int:
        if random.random() >= self.recipe.short:
            return self.window
        return int(random.integers(round(self.recipe.shortest_s * SAMPLE_RATE), self.window))

    def _crop(self, copies: list[np.ndarray], length: int, window: int) -> np.ndarray:
        lengths = np.array([len(copy) for copy in copies], float)
        copy = copies[self.random.choice(len(copies), p=lengths / lengths.sum())]
        start = int(self.random.integers(max(1, len(copy) - length + 1)))
        return np.resize(copy[start : start + length], window)


def make_copies(
    clips: Sequence[np.ndarray], speed: float, *, recipe: SpeakerRecipe, random: np.random.Generator
) -> list[np.ndarray]:
    """Return int16 copies of each clip: one at its own pitch, the others at pitches that vary; some through a codec."""
    copies = []
    for clip in clips:
        for copy in range(recipe.copies):
            is_plain = copy == 0
            waveform = (
                change_voice(clip, speed=speed)
                if is_plain
                else vary_pitch(clip, random, speed=speed, octaves=recipe.octaves)
            )
            if not is_plain and random.random() < recipe.coded:
                waveform = transcode(_scale_to_peak(waveform, 0.7), _CODECS[random.integers(len(_CODECS))])
            copies.append(np.round(_scale_to_peak(waveform, 0.9) * 2**15).astype(np.int16))
    return copies


def _scale_to_peak(waveform: np.ndarray, peak: float) -> np.ndarray:
    return waveform * (peak / max(1e-6, float(np.abs(waveform).max(initial=0.0))))
