"""Verification trials from labelled speech: pairs of utterances, and cuts to given lengths."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from data_contracts.errors import UsageError
from features.decode.config import SAMPLE_RATE
from features.dsp.batching import pad_batch, sorted_batches
from models.data.labelled_speech import Speech
from models.speaker.protocol import SpeakerEncoder
from models.speaker.score_norm import cosines
from models.speaker.verification import Trials

_BATCH_SAMPLES = 60 * SAMPLE_RATE

Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Function from vectors (n, dim) and (m, dim) to their similarity (n, m), float64."""


@dataclass(frozen=True)
class Utterances:
    """Embedded speech, row for row."""

    vectors: np.ndarray  # (n, dim) float32 of unit length
    speakers: np.ndarray  # (n,)
    corpora: np.ndarray  # (n,)
    emotions: np.ndarray  # (n,), empty where not labelled

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self, index: np.ndarray) -> "Utterances":
        """Return some of the utterances, by mask or index."""
        return Utterances(self.vectors[index], self.speakers[index], self.corpora[index], self.emotions[index])

    def by_corpus(self) -> "dict[str, Utterances]":
        """Return the corpora with both kinds of pairs: two speakers or more, one of them with two utterances."""
        parts = {str(name): self.rows(self.corpora == name) for name in np.unique(self.corpora)}
        return {name: part for name, part in parts.items() if 1 < len(np.unique(part.speakers)) < len(part)}


def embed_speech(model: SpeakerEncoder, speech: Sequence[Speech]) -> Utterances:
    """Embed the speech, an utterance a clip."""
    return Utterances(
        embed_all(model, [item.waveform for item in speech]),
        np.array([item.clip.speaker for item in speech]),
        np.array([item.clip.corpus for item in speech]),
        np.array([item.clip.emotion for item in speech]),
    )


def embed_all(model: SpeakerEncoder, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Return embeddings (n, dim) float32, computed in batches of similar length."""
    rows: dict[int, np.ndarray] = {}
    for batch in sorted_batches([len(waveform) for waveform in waveforms], max_samples=_BATCH_SAMPLES):
        vectors = model.embed(*pad_batch([waveforms[index] for index in batch], torch.device("cpu"))).numpy()
        rows.update(zip(batch, vectors, strict=True))
    return np.stack([rows[index] for index in range(len(waveforms))])


def halve_single_clips(speech: Sequence[Speech]) -> list[Speech]:
    """Cut a speaker's only clip in two, so that every speaker has two utterances."""
    return [
        Speech(item.clip, item.recording_id, half)
        for clips in _by_speaker(speech)
        for item in clips
        for half in np.array_split(item.waveform, 2 if len(clips) == 1 else 1)
    ]


def cut_to_length(speech: Sequence[Speech], seconds: float) -> list[Speech]:
    """Return utterances of exactly `seconds`: the beginnings of clips, short clips joined to the speaker's next.

    A speaker's only clip gives its beginning and its end, where they do not overlap.
    """
    size = round(seconds * SAMPLE_RATE)
    return [item for clips in _by_speaker(speech) for item in _cut_speaker(clips, size)]


def shorten_every_second(speech: Sequence[Speech], *, lengths_s: Sequence[float], seed: int) -> list[Speech]:
    """Cut every second utterance to a length drawn from `lengths_s`, where it is longer: pairs then mix lengths."""
    random = np.random.default_rng(seed)
    sizes = np.round(random.choice(np.asarray(lengths_s), size=len(speech)) * SAMPLE_RATE).astype(int)
    return [
        Speech(item.clip, item.recording_id, item.waveform[:size] if index % 2 else item.waveform)
        for index, (item, size) in enumerate(zip(speech, sizes, strict=True))
    ]


def pair_trials(utterances: Utterances, scores: Scores = cosines) -> Trials:
    """Return the trials of all pairs within each corpus; corpora count alike, however many pairs they have.

    The pairs are those of `utterance_pairs`, the corpora in the order of their names. Pairs across corpora are left
    out: rooms and microphones would tell those apart. Raises UsageError where no corpus has two speakers, one of them
    heard twice.
    """
    parts = [_corpus_trials(part, scores) for part in utterances.by_corpus().values()]
    if not parts:
        raise UsageError(
            f"expected a corpus with two speakers or more, found {len(utterances)} utterances of "
            f"{len(np.unique(utterances.speakers))}: fill in the column speaker, or add clips"
        )
    return Trials.pool(parts)


def utterance_pairs(utterances: Utterances) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the first and of the second utterance of each pair, each pair once."""
    first, second = np.triu_indices(len(utterances), 1)
    return first, second


def _corpus_trials(part: Utterances, scores: Scores) -> Trials:
    first, second = utterance_pairs(part)
    same = part.speakers[first] == part.speakers[second]
    weights = np.where(same, 1 / same.sum(), 1 / (~same).sum())
    speakers = np.stack([part.speakers[first], part.speakers[second]], axis=1)
    return Trials(scores(part.vectors, part.vectors)[first, second], same, weights, speakers)


def _by_speaker(speech: Sequence[Speech]) -> list[list[Speech]]:
    """Return the clips of each speaker, speakers in the order of their first clips."""
    clips: dict[str, list[Speech]] = {}
    for item in speech:
        clips.setdefault(item.clip.speaker, []).append(item)
    return list(clips.values())


def _cut_speaker(clips: list[Speech], size: int) -> Iterator[Speech]:
    if len(clips) == 1:
        if len(clips[0].waveform) >= 2 * size:
            for part in (clips[0].waveform[:size], clips[0].waveform[-size:]):
                yield Speech(clips[0].clip, clips[0].recording_id, part)
        return
    pending: list[np.ndarray] = []
    for item in clips:
        pending.append(item.waveform)
        if sum(map(len, pending)) >= size:
            yield Speech(item.clip, item.recording_id, np.concatenate(pending)[:size])
            pending = []
