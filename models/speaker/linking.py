"""Stage 4: who is it? Embeddings against the speakers already known; who is not known founds a speaker.

One reduce step a date, over sets and never in the order in which shards come, so that shards, workers and their order
change nothing. A found speaker keeps the centroid it was founded with, and a voice is named once all the night's
speakers are founded: identifying a night again gives the same answer.
"""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np

from data_contracts.records import ModelRef

T = TypeVar("T")
Key = tuple[str, int, int]  # recording_id, channel, segment
MIN_VOICE_S = 1.0  # of speech: less is no voice of its own beside others, and founds last
_MOST_AT_ONCE = 2_000  # utterances or voices clustered together; memory grows with the square


@dataclass(frozen=True)
class Voiceprint:
    """A voice to compare with: `centroid` (dim,) L2-normalised; `known` where its speaker has a name.

    A speaker has several where voices were merged.
    """

    speaker_id: str
    centroid: np.ndarray
    known: bool


@dataclass(frozen=True)
class Decision:
    """When two voices are one: a cosine of at least `threshold`; its probability is sigmoid(slope·cos + offset)."""

    threshold: float
    slope: float
    offset: float

    @classmethod
    def from_model(cls, model: ModelRef) -> Self:
        """How a speaker model's cosines are read."""
        return cls(float(model.metadata["threshold"]), *map(float, model.metadata["calibration"]))

    def probability(self, cosine: np.ndarray) -> np.ndarray:
        """(…) cosines to (…) probabilities in [0, 1]."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * cosine + self.offset, -60.0, 60.0)))

    @property
    def recording_threshold(self) -> float:
        """The cosine that joins utterances of one recording, where few speak: even odds, at most `threshold`."""
        return min(self.threshold, -self.offset / self.slope) if self.slope > 0 else self.threshold


@dataclass
class Identities:
    """The answer, row for row with the keys asked, and the speakers that were founded on the way."""

    speaker_ids: list[str]
    scores: np.ndarray  # (n,) probability that the utterance is its speaker's
    known: list[bool]
    founded: list[Voiceprint] = field(default_factory=list)


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
    taken: Collection[str] = (),  # names that nobody new may get
) -> Identities:
    """Names every utterance's speaker.

    Utterances of one recording are first joined into voices, because a voice of several utterances is surer than one.
    Voices far from every speaker are clustered over the whole night, and each cluster founds a speaker; then each voice
    takes the nearest, the known before the found. Both clusterings are agglomerative, by the average cosine.
    """
    embeddings = _normalised(np.asarray(embeddings, np.float32))
    answer = Identities([""] * len(keys), np.zeros(len(keys)), [False] * len(keys))
    voices = _voices(keys, embeddings, np.asarray(seconds, np.float64), decision.recording_threshold)
    gallery = _Gallery(speakers, decision.threshold, dim=embeddings.shape[1], taken=taken)
    n_before = len(speakers)
    for short in (False, True):
        _found([voice for voice in voices if (voice.speech_s < MIN_VOICE_S) is short], gallery, pseudonym_key)
    founded = gallery.speakers[n_before:]
    gallery.sort()
    for voice in voices:
        speaker = gallery.nearest(voice.centroid)
        answer.scores[voice.members] = decision.probability(embeddings[voice.members] @ speaker.centroid)
        for index in voice.members:
            answer.speaker_ids[index], answer.known[index] = speaker.speaker_id, speaker.known
    heard = set(answer.speaker_ids)
    answer.founded = [speaker for speaker in founded if speaker.speaker_id in heard]
    return answer


def pseudonym(key: Key, secret: str) -> str:
    """A stable name for a voice first heard in this utterance; a keyed hash, so that it tells nothing of the recording.

    >>> pseudonym(("ab", 0, 1), "k") == pseudonym(("ab", 0, 1), "k") != pseudonym(("ab", 0, 1), "other")
    True
    """
    text = "/".join(map(str, key)).encode()
    return "spk_" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()[:12]


def _found(voices: list[_Voice], gallery: "_Gallery", secret: str) -> None:
    """Founds speakers until every voice is near one, so that the same voices, asked again, found nobody."""
    waiting = gallery.strangers(voices)
    while waiting:
        clusters = [
            cluster
            for start in range(0, len(waiting), _MOST_AT_ONCE)
            for cluster in _clusters(waiting[start : start + _MOST_AT_ONCE], gallery.threshold)
        ]
        gallery.add(clusters, secret)
        still = gallery.strangers(waiting)
        if len(still) == len(waiting):  # no member is near its cluster's centroid: each for itself
            gallery.add([[voice] for voice in waiting], secret)
            return
        waiting = still


class _Gallery:
    """Voiceprints in one matrix, so that a comparison is one product."""

    def __init__(
        self, speakers: Sequence[Voiceprint], threshold: float, *, dim: int, taken: Collection[str] = ()
    ) -> None:
        self.threshold = threshold
        self.speakers = list(speakers)
        self.names = {speaker.speaker_id for speaker in speakers} | set(taken)
        self.matrix = np.zeros((0, dim), np.float32)
        self.sort()

    def sort(self) -> None:
        """The known first, then by name: of two equally near, the first is taken."""
        self.speakers.sort(key=lambda speaker: (not speaker.known, speaker.speaker_id, speaker.centroid.tobytes()))
        rows = [speaker.centroid for speaker in self.speakers]
        self.matrix = _normalised(np.reshape(np.asarray(rows, np.float32), (-1, self.matrix.shape[1])))
        self.known = np.array([speaker.known for speaker in self.speakers], bool)

    def strangers(self, voices: list[_Voice]) -> list[_Voice]:
        """Those to whom nobody is near enough."""
        found: list[_Voice] = []
        for start in range(0, len(voices), _MOST_AT_ONCE):
            part = voices[start : start + _MOST_AT_ONCE]
            cosines = np.stack([voice.centroid for voice in part]) @ self.matrix.T
            near = cosines.max(1, initial=-1.0) >= self.threshold
            found += [voice for voice, is_near in zip(part, near, strict=True) if not is_near]
        return found

    def nearest(self, centroid: np.ndarray) -> Voiceprint:
        """The most similar of the known who are near enough, before all found ones: a name beats a pseudonym."""
        cosines = self.matrix @ centroid
        near = np.where(self.known & (cosines >= self.threshold), cosines, -np.inf)
        return self.speakers[int(np.argmax(near if np.isfinite(near).any() else cosines))]

    def add(self, clusters: list[list[_Voice]], secret: str) -> None:
        """A speaker a cluster, named by the first utterance."""
        for cluster in clusters:
            name = self._new_name(cluster[0].first, secret)
            self.names.add(name)
            self.speakers.append(Voiceprint(name, _mean(cluster), known=False))
        added = [speaker.centroid for speaker in self.speakers[len(self.matrix) :]]
        self.matrix = np.concatenate([self.matrix, np.stack(added)])

    def _new_name(self, key: Key, secret: str) -> str:
        """The pseudonym, or the next where it is taken: other features may put another voice into the same segment."""
        n, name = 0, pseudonym(key, secret)
        while name in self.names:
            n, name = n + 1, pseudonym(key, f"{secret}/{n + 1}")
        return name


def _voices(keys: Sequence[Key], embeddings: np.ndarray, seconds: np.ndarray, threshold: float) -> list[_Voice]:
    """The voices of each recording, in the order of their first keys."""
    recordings: dict[str, list[int]] = {}
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        recordings.setdefault(keys[index][0], []).append(index)

    def voice(members: list[int]) -> _Voice:
        members = sorted(members, key=keys.__getitem__)
        mean = np.average(embeddings[members], axis=0, weights=seconds[members] + 1e-3)
        return _Voice(members, keys[members[0]], float(seconds[members].sum()), _normalised(mean[None])[0])

    found: list[_Voice] = []
    for members in recordings.values():
        for start in range(0, len(members), _MOST_AT_ONCE):
            part = members[start : start + _MOST_AT_ONCE]
            groups = _grouped(part, embeddings[part], threshold)
            found += [voice(group) for group in _with_the_short([voice(group) for group in groups])]
    return found


def _with_the_short(voices: list[_Voice]) -> list[list[int]]:
    """Members by voice; one of less than a second goes to the nearest of the longer, as small clusters in pyannote."""
    long = [voice for voice in voices if voice.speech_s >= MIN_VOICE_S]
    if not long:
        return [voice.members for voice in voices]
    groups = [list(voice.members) for voice in long]
    matrix = np.stack([voice.centroid for voice in long])
    for voice in voices:
        if voice.speech_s < MIN_VOICE_S:
            groups[int(np.argmax(matrix @ voice.centroid))] += voice.members
    return groups


def _clusters(voices: list[_Voice], threshold: float) -> list[list[_Voice]]:
    return _grouped(voices, np.stack([voice.centroid for voice in voices]), threshold)


def _mean(voices: list[_Voice]) -> np.ndarray:
    """(dim,): more speech counts for more."""
    weights = [voice.speech_s + 1e-3 for voice in voices]
    mean = np.average([voice.centroid for voice in voices], axis=0, weights=weights)
    return np.asarray(_normalised(mean[None])[0])


def _grouped(items: Sequence[T], vectors: np.ndarray, threshold: float) -> list[list[T]]:
    """Agglomerative clustering, average linkage: groups by their first items, whose average cosine is `threshold`."""
    if len(items) == 1:
        return [list(items)]
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors.astype(np.float64), method="average", metric="cosine")
    labels = fcluster(tree, t=max(0.0, 1.0 - threshold), criterion="distance")
    groups: dict[int, list[T]] = {}
    for item, label in zip(items, labels, strict=True):
        groups.setdefault(int(label), []).append(item)
    return list(groups.values())


def _normalised(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
