"""Training the speaker encoder: crops of two seconds, disturbed in many ways, told apart by voice.

Read the speech, hold some voices out, fit the encoder on the others with an additive angular margin (Deng et al., CVPR
2019), then find the threshold and the calibration on the voices that it has never heard.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from data_contracts.errors import UsageError
from models.augment import disturb, masked
from models.encoder import SAMPLE_RATE, EncoderConfig, network, spectrogram
from models.labels import Speech, read_labels, read_speech
from models.speaker import SpeakerModel
from models.speechbrain_compat import speechbrain_importable
from models.verification import trials_between

FALSE_ACCEPT_RATE = 0.01
_ENCODER = EncoderConfig()
Progress = Callable[[int, float], None]
"""Told the step and its loss."""


@dataclass(frozen=True)
class Recipe:
    """How the encoder is fitted. Each speed makes another voice of every speaker: its pitch and formants move."""

    steps: int = 2_200
    batch: int = 64
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    margin: float = 0.2
    scale: float = 30.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    short: float = 0.4  # of the crops, and how short those are at least
    shortest_s: float = 0.7
    least_speech_s: float = 1.0  # of clips; with less there is no voice to learn
    held_out: float = 0.15  # of each corpus's speakers, two at least


def train_speaker(
    corpora: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    encoder: EncoderConfig = _ENCODER,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains on the labelled speech of `corpora`, writes the model to `out`, and returns the held-out voices' metrics.

    Raises UsageError where there are too few speakers to hold any out.
    """
    clips = [clip for clip in read_labels(corpora) if clip.speaker]
    speech = [item for item in read_speech(clips) if len(item.waveform) >= recipe.least_speech_s * SAMPLE_RATE]
    held = held_out_speakers(speech, share=recipe.held_out, seed=seed)
    training = [item for item in speech if item.clip.speaker not in held]
    unheard = [item for item in speech if item.clip.speaker in held]
    fitted = fit(training, recipe=recipe, config=encoder, seed=seed, progress=progress)
    SpeakerModel(fitted, encoder, threshold=0.0, calibration=(1.0, 0.0)).save(out)
    model = SpeakerModel.load(out)  # with the precision that it is stored in
    trials = trials_between(model, unheard)
    model.threshold, model.calibration = trials.threshold(FALSE_ACCEPT_RATE), trials.calibration()
    metrics = trials.metrics()
    model.training = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "n_clips": len(training),
        "n_speakers": len({item.clip.speaker for item in training}),
        "minutes": round(sum(len(item.waveform) for item in training) / SAMPLE_RATE / 60, 1),
        "corpora": sorted({item.clip.corpus for item in training}),
        "held_out_speakers": sorted(held),
        "held_out": metrics,
        "false_accept_rate": FALSE_ACCEPT_RATE,
    }
    model.trained_on = frozenset(item.recording_id for item in training)
    model.save(out)
    return metrics


def held_out_speakers(speech: Sequence[Speech], *, share: float, seed: int) -> set[str]:
    """The speakers that training never hears: `share` of each corpus, two at least."""
    held: set[str] = set()
    for corpus in sorted({item.clip.corpus for item in speech}):
        names = sorted({item.clip.speaker for item in speech if item.clip.corpus == corpus})
        n = max(2, round(share * len(names)))
        if len(names) < n + 2:
            raise UsageError(
                f"expected at least {n + 2} speakers in the corpus {corpus!r}, {n} of them to hold out; "
                f"found {len(names)}: add speakers, or leave that corpus out"
            )
        order = np.random.default_rng([seed, len(names)]).permutation(len(names))
        held |= {names[index] for index in order[:n]}
    return held


def fit(
    speech: Sequence[Speech], *, recipe: Recipe, config: EncoderConfig, seed: int, progress: Progress | None = None
) -> nn.Module:
    """An encoder that tells the speakers of `speech` apart."""
    torch.manual_seed(seed)
    encoder = network(config)
    with speechbrain_importable():
        from speechbrain.lobes.models.ECAPA_TDNN import Classifier
        from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

    crops = Crops(speech, recipe=recipe, window=config.window, seed=seed)
    classifier = Classifier(config.dim, lin_neurons=config.dim, out_neurons=crops.n_classes)
    margin = AdditiveAngularMargin(recipe.margin, recipe.scale)
    loss_of = LogSoftmaxWrapper(margin)
    parameters = [*encoder.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=recipe.steps)
    noise = torch.Generator().manual_seed(seed)
    encoder.train()
    for step in range(recipe.steps):
        waveform, speaker = crops.draw(recipe.batch)
        shown = masked(spectrogram(disturb(waveform, noise), config), noise)
        loss = loss_of(classifier(encoder(shown)), speaker[:, None])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()
        if progress:
            progress(step, float(loss.detach()))
    return encoder.eval()


class Crops:
    """Draws crops at random: a speaker as often as the square root of their speech, then a place, a length, a speed."""

    def __init__(self, speech: Sequence[Speech], *, recipe: Recipe, window: int, seed: int) -> None:
        self.recipe, self.window = recipe, window
        self.random = np.random.default_rng(seed)
        self.speakers = sorted({item.clip.speaker for item in speech})
        self.clips = [[item.waveform for item in speech if item.clip.speaker == name] for name in self.speakers]
        seconds = np.array([sum(map(len, clips)) for clips in self.clips], float) / SAMPLE_RATE
        self.chance = np.sqrt(seconds) / np.sqrt(seconds).sum()
        self.n_classes = len(self.speakers) * len(recipe.speeds)

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """(n, window) samples, (n,) classes."""
        speakers = self.random.choice(len(self.speakers), size=n, p=self.chance)
        speeds = self.random.integers(len(self.recipe.speeds), size=n)
        cut = [self._crop(who, self.recipe.speeds[speed]) for who, speed in zip(speakers, speeds, strict=True)]
        return torch.from_numpy(np.stack(cut)), torch.from_numpy(speeds * len(self.speakers) + speakers)

    def _crop(self, speaker: int, speed: float) -> np.ndarray:
        clips = self.clips[speaker]
        lengths = np.array([len(clip) for clip in clips], float)
        clip = clips[self.random.choice(len(clips), p=lengths / lengths.sum())]
        shortest = round(self.recipe.shortest_s * SAMPLE_RATE)
        short = self.random.random() < self.recipe.short
        wanted = int(self.random.integers(shortest, self.window)) if short else self.window
        taken = round(wanted * speed)
        start = int(self.random.integers(max(1, len(clip) - taken + 1)))
        piece = clip[start : start + taken]
        if speed != 1.0:
            piece = soxr.resample(piece, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ")
        return np.resize(piece, self.window).astype(np.float32)
