"""Speaker linking (stage 4): match voices to the known speakers, and found a speaker for each group of the others.

One reduce step a date, over sets and never in the order in which shards arrive, so that shards, workers and their order
change nothing. A founded speaker keeps the centroid it was founded with, and voices are named once all speakers of the
night are founded: linking a night again gives the same answer.
"""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np

from data_contracts.records import ModelRef
from data_contracts.rejects import UnidentifiedReason

T = TypeVar("T")
Key = tuple[str, int, int]  # recording_id, channel, segment
MIN_VOICE_S = 1.0  # of speech; a shorter voice joins a longer one of its recording, and founds a speaker last
_MAX_CLUSTERED = 2_000  # utterances or voices at a time; memory grows with the square


@dataclass(frozen=True)
class Voiceprint:
    """Reference voice of a speaker: `centroid` (dim,) L2-normalised; `known` where the speaker has a name.

    A speaker has several where voices were merged.
    """

    speaker_id: str
    centroid: np.ndarray
    known: bool


@dataclass(frozen=True)
class Decision:
    """Decision rule: the same voice from a cosine of `threshold` on, with probability sigmoid(slope·cos + offset)."""

    threshold: float
    slope: float
    offset: float

    @classmethod
    def from_model(cls, model: ModelRef) -> Self:
        """Return the decision rule of a speaker model's cosines."""
        return cls(float(model.metadata["threshold"]), *map(float, model.metadata["calibration"]))

    def probability(self, cosine: np.ndarray) -> np.ndarray:
        """Return the probabilities, in [0, 1], of (…) cosines."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * cosine + self.offset, -60.0, 60.0)))

    @property
    def recording_threshold(self) -> float:
        """Cosine that joins utterances of one recording, where few people speak: even odds, at most `threshold`."""
        return min(self.threshold, -self.offset / self.slope) if self.slope > 0 else self.threshold


@dataclass
class Identities:
    """Speakers of utterances, row for row with their keys, and the speakers newly founded.

    Without a speaker there is a reason, and the score is NaN.
    """

    speaker_ids: list[str | None]
    scores: np.ndarray  # (n,) probability that the utterance is its speaker's
    known: list[bool]
    founded: list[Voiceprint] = field(default_factory=list)

    @property
    def reasons(self) -> list[str | None]:
        """Reason of each utterance that has no speaker."""
        return [str(UnidentifiedReason.TOO_LITTLE_SPEECH) if name is None else None for name in self.speaker_ids]


@dataclass(frozen=True)
class _Voice:
    """Utterances of one recording by one speaker."""

    members: list[int]  # in the order of their keys
    first: Key
    speech_s: float
    centroid: np.ndarray  # (dim,)


def link_speakers(
    keys: Sequence[Key],
    embeddings: np.ndarray,  # (n, dim) L2-normalised
    seconds: np.ndarray,  # (n,) speech
    speakers: Sequence[Voiceprint],
    *,
    decision: Decision,
    pseudonym_key: str,
    reserved_names: Collection[str] = (),  # that no new speaker may get
) -> Identities:
    """Assign a speaker to every utterance.

    Utterances of one recording are first joined into voices: a centroid of several utterances is more reliable than
    one. Voices far from every speaker are clustered over the whole night, and each cluster founds a speaker; then each
    voice takes the nearest speaker, known ones before founded ones. Both clusterings are agglomerative, by the average
    cosine.
    """
    embeddings = _normalise(np.asarray(embeddings, np.float32))
    answer = Identities([None] * len(keys), np.zeros(len(keys)), [False] * len(keys))
    voices = _join_voices(keys, embeddings, np.asarray(seconds, np.float64), decision.recording_threshold)
    gallery = _Gallery(speakers, decision.threshold, dim=embeddings.shape[1], reserved_names=reserved_names)
    n_before = len(speakers)
    for short in (False, True):
        part = [voice for voice in voices if (voice.speech_s < MIN_VOICE_S) is short]
        _found_speakers(part, gallery, pseudonym_key)
    founded = gallery.speakers[n_before:]
    gallery.sort()
    for voice in voices:
        speaker = gallery.nearest(voice.centroid)
        answer.scores[voice.members] = decision.probability(embeddings[voice.members] @ speaker.centroid)
        for index in voice.members:
            answer.speaker_ids[index], answer.known[index] = speaker.speaker_id, speaker.known
    assigned = set(answer.speaker_ids)
    answer.founded = [speaker for speaker in founded if speaker.speaker_id in assigned]
    return answer


def voices_of_recording(
    embeddings: np.ndarray,  # (n, dim)
    seconds: np.ndarray,  # (n,) speech
    decision: Decision,
) -> list[list[int]]:
    """Return the utterances of each voice of one recording, as `link_speakers` joins them; the longest voice first."""
    keys = [("", 0, number) for number in range(len(embeddings))]
    voices = _join_voices(keys, _normalise(np.asarray(embeddings, np.float32)), seconds, decision.recording_threshold)
    return [voice.members for voice in sorted(voices, key=lambda voice: -voice.speech_s)]


def pseudonym(key: Key, secret: str) -> str:
    """Return a stable name for a voice first heard in this utterance: a keyed hash, which reveals no recording.

    >>> pseudonym(("ab", 0, 1), "k") == pseudonym(("ab", 0, 1), "k") != pseudonym(("ab", 0, 1), "other")
    True
    """
    text = "/".join(map(str, key)).encode()
    return "spk_" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()[:12]


def _found_speakers(voices: list[_Voice], gallery: "_Gallery", secret: str) -> None:
    """Found speakers until every voice is near one, so that linking the same voices again founds none."""
    waiting = gallery.strangers(voices)
    while waiting:
        clusters = [
            cluster
            for start in range(0, len(waiting), _MAX_CLUSTERED)
            for cluster in _cluster_voices(waiting[start : start + _MAX_CLUSTERED], gallery.threshold)
        ]
        gallery.add(clusters, secret)
        remaining = gallery.strangers(waiting)
        if len(remaining) == len(waiting):  # no member is near its cluster's centroid: a speaker each
            gallery.add([[voice] for voice in waiting], secret)
            return
        waiting = remaining


class _Gallery:
    """Voiceprints as one matrix, so that a comparison is one product."""

    def __init__(
        self, speakers: Sequence[Voiceprint], threshold: float, *, dim: int, reserved_names: Collection[str] = ()
    ) -> None:
        self.threshold = threshold
        self.speakers = list(speakers)
        self.names = {speaker.speaker_id for speaker in speakers} | set(reserved_names)
        self.matrix = np.zeros((0, dim), np.float32)
        self.sort()

    def sort(self) -> None:
        """Sort known speakers first, then by name: the first of two equally near speakers wins."""
        self.speakers.sort(key=lambda speaker: (not speaker.known, speaker.speaker_id, speaker.centroid.tobytes()))
        rows = [speaker.centroid for speaker in self.speakers]
        self.matrix = _normalise(np.reshape(np.asarray(rows, np.float32), (-1, self.matrix.shape[1])))
        self.known = np.array([speaker.known for speaker in self.speakers], bool)

    def strangers(self, voices: list[_Voice]) -> list[_Voice]:
        """Return the voices that no speaker is near enough to."""
        found: list[_Voice] = []
        for start in range(0, len(voices), _MAX_CLUSTERED):
            part = voices[start : start + _MAX_CLUSTERED]
            cosines = np.stack([voice.centroid for voice in part]) @ self.matrix.T
            near = cosines.max(1, initial=-1.0) >= self.threshold
            found += [voice for voice, is_near in zip(part, near, strict=True) if not is_near]
        return found

    def nearest(self, centroid: np.ndarray) -> Voiceprint:
        """Return the most similar known speaker near enough, else the most similar one: a name beats a pseudonym."""
        cosines = self.matrix @ centroid
        near = np.where(self.known & (cosines >= self.threshold), cosines, -np.inf)
        return self.speakers[int(np.argmax(near if np.isfinite(near).any() else cosines))]

    def add(self, clusters: list[list[_Voice]], secret: str) -> None:
        """Add a speaker for each cluster, named by the first utterance."""
        for cluster in clusters:
            name = self._new_name(cluster[0].first, secret)
            self.names.add(name)
            self.speakers.append(Voiceprint(name, _mean_centroid(cluster), known=False))
        added = [speaker.centroid for speaker in self.speakers[len(self.matrix) :]]
        self.matrix = np.concatenate([self.matrix, np.stack(added)])

    def _new_name(self, key: Key, secret: str) -> str:
        """Return the pseudonym, or the next free one: other features may put another voice into the same segment."""
        n, name = 0, pseudonym(key, secret)
        while name in self.names:
            n, name = n + 1, pseudonym(key, f"{secret}/{n + 1}")
        return name


def _join_voices(keys: Sequence[Key], embeddings: np.ndarray, seconds: np.ndarray, threshold: float) -> list[_Voice]:
    """Join the utterances of each recording into voices, in the order of their first keys."""
    recordings: dict[str, list[int]] = {}
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        recordings.setdefault(keys[index][0], []).append(index)

    def voice(members: list[int]) -> _Voice:
        members = sorted(members, key=keys.__getitem__)
        mean = np.average(embeddings[members], axis=0, weights=seconds[members] + 1e-3)
        return _Voice(members, keys[members[0]], float(seconds[members].sum()), _normalise(mean[None])[0])

    found: list[_Voice] = []
    for members in recordings.values():
        for start in range(0, len(members), _MAX_CLUSTERED):
            part = members[start : start + _MAX_CLUSTERED]
            groups = _cluster(part, embeddings[part], threshold)
            found += [voice(group) for group in _assign_short_voices([voice(group) for group in groups])]
    return found


def _assign_short_voices(voices: list[_Voice]) -> list[list[int]]:
    """Return members by voice; a short voice joins the nearest long one, as small clusters do in pyannote."""
    long = [voice for voice in voices if voice.speech_s >= MIN_VOICE_S]
    if not long:
        return [voice.members for voice in voices]
    groups = [list(voice.members) for voice in long]
    matrix = np.stack([voice.centroid for voice in long])
    for voice in voices:
        if voice.speech_s < MIN_VOICE_S:
            groups[int(np.argmax(matrix @ voice.centroid))] += voice.members
    return groups


def _cluster_voices(voices: list[_Voice], threshold: float) -> list[list[_Voice]]:
    return _cluster(voices, np.stack([voice.centroid for voice in voices]), threshold)


def _mean_centroid(voices: list[_Voice]) -> np.ndarray:
    """Return the mean centroid (dim,), weighted by speech."""
    weights = [voice.speech_s + 1e-3 for voice in voices]
    mean = np.average([voice.centroid for voice in voices], axis=0, weights=weights)
    return np.asarray(_normalise(mean[None])[0])


def _cluster(items: Sequence[T], vectors: np.ndarray, threshold: float) -> list[list[T]]:
    """Cluster agglomeratively, by average linkage, down to an average cosine of `threshold`; groups by first item."""
    if len(items) == 1:
        return [list(items)]
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors.astype(np.float64), method="average", metric="cosine")
    labels = fcluster(tree, t=max(0.0, 1.0 - threshold), criterion="distance")
    groups: dict[int, list[T]] = {}
    for item, label in zip(items, labels, strict=True):
        groups.setdefault(int(label), []).append(item)
    return list(groups.values())


def _normalise(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
