"""Features of labelled clips for the emotion model: of the clips themselves and of augmented copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from features.decode.rumble import remove_rumble
from features.dsp.batching import map_batches, pad_batch, sorted_batches
from features.dsp.gemaps import EGEMAPS_NAMES, egemaps_and_lld
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES, suprasegmental
from features.extraction.config import FeatureConfig
from models.data.augmentation import add_hum, rerecord
from models.data.codecs import CODECS, transcode
from models.data.emotion_labels import emotion_named
from models.data.kept_out import is_kept_out
from models.data.labelled_speech import Speech, manifest_digest, read_speech
from models.data.labels_file import Clip, read_labels
from models.data.licences import is_restrictive
from models.emotion.extractor import shipped_extractor

FEATURE_NAMES: tuple[str, ...] = (*EGEMAPS_NAMES, *SUPRASEGMENTAL_NAMES)
"""Names of the functionals."""
NEUTRAL = "neutral"
_BATCH_SAMPLES = 60 * SAMPLE_RATE
_MAX_SPEED_CHANGE = 0.08  # faster or slower
_SPED_SHARE, _HUMMING_SHARE, _CODED_SHARE = 0.5, 0.3, 0.35  # of the copies


@dataclass(frozen=True)
class Table:
    """Labelled features: `values[0]` of the clips themselves, the rest of their copies."""

    classes: tuple[str, ...]
    values: Tensor  # (1 + n_copies, n, n_features)
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


def all_names() -> tuple[str, ...]:
    """Return the names of the features of our own models: the functionals, and what the extractor heard."""
    return (*FEATURE_NAMES, *(f"heard_{index:03d}" for index in range(shipped_extractor().dim)))


def current_fingerprints() -> dict[str, str]:
    """Return the fingerprints of the feature sets behind `all_names`, in their order, as computed now."""
    return FeatureConfig().fingerprints() | {"emotion_embeddings": shipped_extractor().extractor_digest}


def read_emotional_speech(
    corpora: Sequence[Path],
    classes: Sequence[str] | None,
    *,
    calm: Sequence[str] = (),
    n_calm: int = 0,
    any_licence: bool = True,
) -> list[Speech]:
    """Return clips labelled with a speaker and one of `classes` (None: any), and `n_calm` of each corpus of `calm`.

    The latter have no labelled emotion, and count as neutral where that is a class; voices that are kept out are not
    among them. Without `any_licence`, clips whose licence asks for more than attribution are left out. Raises
    UsageError where none is labelled.
    """
    found = [clip for clip in read_labels(corpora) if any_licence or not is_restrictive(clip.licence)]
    clips = [clip for clip in found if clip.speaker and clip.emotion]
    speech = list(read_speech([clip for clip in clips if classes is None or emotion_named(clip.emotion) in classes]))
    if not speech:
        raise UsageError(
            f"expected clips labelled with {', '.join(classes or ['an emotion'])} in {', '.join(map(str, corpora))}; "
            "found none: fill in the columns speaker and emotion of labels.csv; data whose licence asks for more than "
            "attribution takes part with --any-licence"
        )
    if classes is None or NEUTRAL not in classes:
        return speech
    return speech + list(read_speech([clip for name in calm for clip in _calm_clips(found, name, n_calm)]))


def _calm_clips(clips: Sequence[Clip], corpus: str, n: int) -> list[Clip]:
    """Return `n` clips of a corpus without labels of emotion, the same on every machine, as neutral."""
    own = [clip for clip in clips if clip.corpus == corpus and not clip.emotion and not is_kept_out(clip.speaker)]
    own = sorted(own, key=lambda clip: digest(clip.path.name.encode(), 12))[:n]
    return [replace(clip, emotion=NEUTRAL, speaker=clip.speaker or clip.path.stem) for clip in own]


def build_table(speech: Sequence[Speech], classes: Sequence[str], *, n_copies: int = 0, seed: int = 0) -> Table:
    """Compute the features of labelled speech, and of `n_copies` of each clip."""
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    waveforms = [item.waveform for item in speech]
    copies = (all_features(_augment(waveforms, random, generator)) for _ in range(n_copies))
    corpora = sorted({item.clip.corpus for item in speech})
    return Table(
        classes=tuple(classes),
        values=torch.stack([all_features(waveforms), *copies]),
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


def all_features(waveforms: Sequence[np.ndarray]) -> Tensor:
    """Return features (n, len(all_names())) of (time,) waveforms at 16 kHz."""
    extractor = shipped_extractor()

    def embed(waveform: Tensor, lengths: Tensor) -> list[Tensor]:
        return [*extractor.embed(waveform, lengths)]

    heard = map_batches(embed, waveforms, torch.device("cpu"), max_samples=_BATCH_SAMPLES)
    return torch.cat([emotion_features(waveforms), torch.stack(heard)], dim=1)


def emotion_features(waveforms: Sequence[np.ndarray]) -> Tensor:
    """Return functionals (n, len(FEATURE_NAMES)) of (time,) waveforms at 16 kHz."""
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
