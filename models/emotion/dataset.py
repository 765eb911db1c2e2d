"""Features of labelled clips for the emotion model: of the clips themselves and of augmented copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.decode.config import SAMPLE_RATE
from features.decode.rumble import remove_rumble
from features.dsp.batching import pad_batch, sorted_batches
from features.dsp.gemaps import EGEMAPS_NAMES, egemaps_and_lld
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES, suprasegmental
from features.extraction.config import FeatureConfig
from models.data.augmentation import add_hum, rerecord
from models.data.codecs import CODECS, transcode
from models.data.emotion_labels import emotion_named
from models.data.labelled_speech import Speech, manifest_digest, read_speech
from models.data.labels_file import read_labels

FEATURE_NAMES: tuple[str, ...] = (*EGEMAPS_NAMES, *SUPRASEGMENTAL_NAMES)
_BATCH_SAMPLES = 60 * SAMPLE_RATE
_MAX_SPEED_CHANGE = 0.08  # faster or slower
_SPED_SHARE, _HUMMING_SHARE, _CODED_SHARE = 0.5, 0.3, 0.35  # of the copies


@dataclass(frozen=True)
class Table:
    """Labelled features: `values[0]` of the clips themselves, the rest of their copies."""

    classes: tuple[str, ...]
    values: Tensor  # (1 + n_copies, n, len(FEATURE_NAMES))
    labels: np.ndarray  # (n,) indices into classes
    speakers: np.ndarray  # (n,) str
    corpora: np.ndarray  # (n,) str
    recordings: np.ndarray  # (n,) str
    seconds: np.ndarray  # (n,) of speech
    licences: dict[str, tuple[str, ...]]  # by corpus
    manifest: str

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: np.ndarray) -> "Table":
        """Return some of the clips, by mask or index."""
        index = np.flatnonzero(index) if index.dtype == bool else index
        names = ("labels", "speakers", "corpora", "recordings", "seconds")
        selected = {name: getattr(self, name)[index] for name in names}
        return Table(**{**vars(self), **selected, "values": self.values[:, torch.from_numpy(index)]})

    def with_classes(self, classes: Sequence[str]) -> "Table":
        """Return the clips of these classes."""
        place = {self.classes.index(name): index for index, name in enumerate(classes)}
        kept = self.rows(np.isin(self.labels, list(place)))
        labels = np.array([place[label] for label in kept.labels], int)
        return Table(**{**vars(kept), "classes": tuple(classes), "labels": labels})


def current_fingerprints() -> dict[str, str]:
    """Return the fingerprints of the feature sets behind FEATURE_NAMES, as computed now."""
    return FeatureConfig().fingerprints()


def read_emotional_speech(corpora: Sequence[Path], classes: Sequence[str] | None) -> list[Speech]:
    """Return clips labelled with a speaker and one of `classes` (None: any). Raises UsageError where there are none."""
    clips = [clip for clip in read_labels(corpora) if clip.speaker and clip.emotion]
    speech = list(read_speech([clip for clip in clips if classes is None or emotion_named(clip.emotion) in classes]))
    if not speech:
        raise UsageError(
            f"expected clips labelled with {', '.join(classes or ['an emotion'])} in {', '.join(map(str, corpora))}; "
            "found none: fill in the columns speaker and emotion of labels.csv"
        )
    return speech


def build_table(speech: Sequence[Speech], classes: Sequence[str], *, n_copies: int = 0, seed: int = 0) -> Table:
    """Compute the features of labelled speech, and of `n_copies` of each clip."""
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    waveforms = [item.waveform for item in speech]
    copies = (emotion_features(_augment(waveforms, random, generator)) for _ in range(n_copies))
    corpora = sorted({item.clip.corpus for item in speech})
    return Table(
        classes=tuple(classes),
        values=torch.stack([emotion_features(waveforms), *copies]),
        labels=np.array([classes.index(emotion_named(item.clip.emotion)) for item in speech]),
        speakers=np.array([item.clip.speaker for item in speech]),
        corpora=np.array([item.clip.corpus for item in speech]),
        recordings=np.array([item.recording_id for item in speech]),
        seconds=np.array([len(item.waveform) / SAMPLE_RATE for item in speech]),
        licences={
            name: tuple(sorted({item.clip.licence for item in speech if item.clip.corpus == name} - {""}))
            for name in corpora
        },
        manifest=manifest_digest(speech),
    )


def emotion_features(waveforms: Sequence[np.ndarray]) -> Tensor:
    """Return features (n, len(FEATURE_NAMES)) of (time,) waveforms at 16 kHz."""
    values = torch.zeros(len(waveforms), len(FEATURE_NAMES))
    for batch in sorted_batches([len(waveform) for waveform in waveforms], max_samples=_BATCH_SAMPLES):
        waveform, lengths = pad_batch([waveforms[index] for index in batch], torch.device("cpu"))
        functionals, descriptors = egemaps_and_lld(waveform, lengths)
        values[batch] = torch.cat([functionals, suprasegmental(waveform, lengths, descriptors)], dim=1)
    return values


def _augment(
    waveforms: Sequence[np.ndarray], random: np.random.Generator, generator: torch.Generator
) -> list[np.ndarray]:
    """Return a copy of each clip, without what the pipeline subtracts: some at another speed, all in another room at
    another level, some with hum and an offset, some through a codec.
    """
    sped = [_change_speed(waveform, random) if random.random() < _SPED_SHARE else waveform for waveform in waveforms]
    copies: list[np.ndarray] = [np.empty(0)] * len(sped)
    for batch in sorted_batches([len(waveform) for waveform in sped], max_samples=_BATCH_SAMPLES):
        waveform, lengths = pad_batch([sped[index] for index in batch], torch.device("cpu"))
        rerecorded = rerecord(waveform, generator)
        hums = torch.rand(len(batch), 1, generator=generator) < _HUMMING_SHARE
        rerecorded = torch.where(hums, add_hum(rerecorded, generator), rerecorded)
        for index, row, length in zip(batch, rerecorded.numpy(), lengths.tolist(), strict=True):
            copies[index] = row[:length]
    codecs = list(CODECS.values())
    for index, copy in enumerate(copies):
        if random.random() < _CODED_SHARE:
            copies[index] = transcode(copy, codecs[random.integers(len(codecs))])
    return [remove_rumble(copy, SAMPLE_RATE) for copy in copies]


def _change_speed(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    speed = random.uniform(1 - _MAX_SPEED_CHANGE, 1 + _MAX_SPEED_CHANGE)
    changed = soxr.resample(waveform, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ")
    return np.asarray(changed, np.float32)
