"""From labelled speech to pairs of utterances: who is compared with whom, and how long they speak."""

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
"""Vectors (n, dim) against vectors (m, dim): how alike (n, m), float64."""


@dataclass(frozen=True)
class Utterances:
    """Embedded speech, row for row."""

    vectors: np.ndarray  # (n, dim) float32 of unit length
    speakers: np.ndarray  # (n,)
    corpora: np.ndarray  # (n,)
    emotions: np.ndarray  # (n,), empty where nothing is said of it

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self, chosen: np.ndarray) -> "Utterances":
        return Utterances(self.vectors[chosen], self.speakers[chosen], self.corpora[chosen], self.emotions[chosen])

    def by_corpus(self) -> "dict[str, Utterances]":
        """The corpora in which pairs can be told apart: two speakers or more, one of them heard twice."""
        parts = {str(name): self.rows(self.corpora == name) for name in np.unique(self.corpora)}
        return {name: part for name, part in parts.items() if 1 < len(np.unique(part.speakers)) < len(part)}


def embed_speech(model: SpeakerEncoder, speech: Sequence[Speech]) -> Utterances:
    """Each clip an utterance."""
    return Utterances(
        embed_all(model, [item.waveform for item in speech]),
        np.array([item.clip.speaker for item in speech]),
        np.array([item.clip.corpus for item in speech]),
        np.array([item.clip.emotion for item in speech]),
    )


def embed_all(model: SpeakerEncoder, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """(n, dim) float32, in batches of similar length."""
    rows: dict[int, np.ndarray] = {}
    for batch in sorted_batches([len(waveform) for waveform in waveforms], max_samples=_BATCH_SAMPLES):
        vectors = model.embed(*pad_batch([waveforms[index] for index in batch], torch.device("cpu"))).numpy()
        rows.update(zip(batch, vectors, strict=True))
    return np.stack([rows[index] for index in range(len(waveforms))])


def halve_single_clips(speech: Sequence[Speech]) -> list[Speech]:
    """The speech, a speaker's only clip cut in two, so that everybody is heard twice."""
    return [
        Speech(item.clip, item.recording_id, half)
        for own in _of_each(speech)
        for item in own
        for half in np.array_split(item.waveform, 2 if len(own) == 1 else 1)
    ]


def cut_to_length(speech: Sequence[Speech], seconds: float) -> list[Speech]:
    """Utterances of exactly that length: a clip's beginning, what is shorter joined to the speaker's next; of a
    speaker's only clip the beginning and the end, where they do not overlap."""
    size = round(seconds * SAMPLE_RATE)
    return [item for own in _of_each(speech) for item in _cut(own, size)]


def shorten_every_second(speech: Sequence[Speech], *, lengths_s: Sequence[float], seed: int) -> list[Speech]:
    """Every second utterance cut to a length drawn from `lengths_s`, where it is longer: pairs then mix lengths."""
    random = np.random.default_rng(seed)
    sizes = np.round(random.choice(np.asarray(lengths_s), size=len(speech)) * SAMPLE_RATE).astype(int)
    return [
        Speech(item.clip, item.recording_id, item.waveform[:size] if index % 2 else item.waveform)
        for index, (item, size) in enumerate(zip(speech, sizes, strict=True))
    ]


def pair_trials(utterances: Utterances, scores: Scores = cosines) -> Trials:
    """Every pair of utterances within each corpus; corpora count alike, however many pairs they have.

    The pairs are those of `utterance_pairs`, the corpora in the order of their names. Pairs across corpora are left
    out: rooms and microphones would tell those apart. Raises UsageError where no corpus has two speakers, one of them
    heard twice.
    """
    parts = [_pairs(part, scores) for part in utterances.by_corpus().values()]
    if not parts:
        raise UsageError(
            f"expected a corpus with two speakers or more, found {len(utterances)} utterances of "
            f"{len(np.unique(utterances.speakers))}: fill in the column speaker, or add clips"
        )
    return Trials.pooled(parts)


def utterance_pairs(utterances: Utterances) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once: the rows of its first and of its second utterance."""
    first, second = np.triu_indices(len(utterances), 1)
    return first, second


def _pairs(part: Utterances, scores: Scores) -> Trials:
    first, second = utterance_pairs(part)
    same = part.speakers[first] == part.speakers[second]
    weights = np.where(same, 1 / same.sum(), 1 / (~same).sum())
    speakers = np.stack([part.speakers[first], part.speakers[second]], axis=1)
    return Trials(scores(part.vectors, part.vectors)[first, second], same, weights, speakers)


def _of_each(speech: Sequence[Speech]) -> list[list[Speech]]:
    """The clips of each speaker, speakers in the order of their first."""
    own: dict[str, list[Speech]] = {}
    for item in speech:
        own.setdefault(item.clip.speaker, []).append(item)
    return list(own.values())


def _cut(own: list[Speech], size: int) -> Iterator[Speech]:
    if len(own) == 1:
        if len(own[0].waveform) >= 2 * size:
            for part in (own[0].waveform[:size], own[0].waveform[-size:]):
                yield Speech(own[0].clip, own[0].recording_id, part)
        return
    waiting: list[np.ndarray] = []
    for item in own:
        waiting.append(item.waveform)
        if sum(map(len, waiting)) >= size:
            yield Speech(item.clip, item.recording_id, np.concatenate(waiting)[:size])
            waiting = []
