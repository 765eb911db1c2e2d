"""Stage 4: who is it? Embeddings against the speakers already known; who is not known founds a speaker.

One reduce step a date, in the order of the utterances' keys, so that shards, workers and their order change nothing.
A found speaker keeps the centroid it was founded with, and a voice is named once all the night's speakers are founded:
identifying a night again gives the same answer.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Key = tuple[str, int, int]  # recording_id, channel, segment
_MOST_AT_ONCE = 2_000  # utterances of a recording clustered together; its memory grows with the square


@dataclass(frozen=True)
class Voiceprint:
    """A speaker to compare with: `centroid` (dim,) L2-normalised; `known` where it was enrolled by name."""

    speaker_id: str
    centroid: np.ndarray
    known: bool


@dataclass(frozen=True)
class Decision:
    """When two voices are one: a cosine of at least `threshold`; its probability is sigmoid(slope·cos + offset)."""

    threshold: float
    slope: float
    offset: float

    def probability(self, cosine: np.ndarray) -> np.ndarray:
        """(…) cosines to (…) probabilities in [0, 1]."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * cosine + self.offset, -60.0, 60.0)))


@dataclass
class Identities:
    """The answer, row for row with the keys asked, and the speakers that were founded on the way."""

    speaker_ids: list[str]
    scores: np.ndarray  # (n,) probability that the utterance is its speaker's
    known: list[bool]
    founded: list[Voiceprint] = field(default_factory=list)


def identify(
    keys: Sequence[Key],
    embeddings: np.ndarray,  # (n, dim) L2-normalised
    seconds: np.ndarray,  # (n,) speech
    speakers: Sequence[Voiceprint],
    *,
    decision: Decision,
    pseudonym_key: str,
) -> Identities:
    """Names every utterance's speaker.

    Utterances of one recording are first joined into voices (average linkage on the cosine), because a voice of several
    utterances is surer than one. A voice far from every speaker founds one; then each
    takes the nearest, the enrolled before the found.
    """
    order = sorted(range(len(keys)), key=keys.__getitem__)
    embeddings = _normalised(np.asarray(embeddings, np.float32))
    gallery = _Gallery(speakers, dim=embeddings.shape[1])
    answer = Identities([""] * len(keys), np.zeros(len(keys)), [False] * len(keys))
    voices = _voices(order, keys, embeddings, decision.threshold)
    means = [np.average(embeddings[voice], axis=0, weights=seconds[voice] + 1e-3) for voice in voices]
    centroids = _normalised(np.reshape(means, (-1, embeddings.shape[1])))
    for voice, centroid in zip(voices, centroids, strict=True):
        if not gallery.holds(centroid, decision.threshold):
            answer.founded.append(Voiceprint(gallery.new_name(keys[voice[0]], pseudonym_key), centroid, known=False))
            gallery.add(answer.founded[-1])
    for voice, centroid in zip(voices, centroids, strict=True):
        speaker = gallery.nearest(centroid, decision.threshold)
        answer.scores[voice] = decision.probability(embeddings[voice] @ speaker.centroid)
        for index in voice:
            answer.speaker_ids[index], answer.known[index] = speaker.speaker_id, speaker.known
    return answer


def pseudonym(key: Key, secret: str) -> str:
    """A stable name for a voice first heard in this utterance; a keyed hash, so that it tells nothing of the recording.

    >>> pseudonym(("ab", 0, 1), "k") == pseudonym(("ab", 0, 1), "k") != pseudonym(("ab", 0, 1), "other")
    True
    """
    text = "/".join(map(str, key)).encode()
    return "spk_" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()[:12]


class _Gallery:
    """Centroids in one growing matrix, so that a comparison is one product."""

    def __init__(self, speakers: Sequence[Voiceprint], *, dim: int) -> None:
        self.speakers = sorted(speakers, key=lambda speaker: (not speaker.known, speaker.speaker_id))
        self.names = {speaker.speaker_id for speaker in speakers}
        self.matrix = np.zeros((max(64, 2 * len(self.speakers)), dim), np.float32)
        for row, speaker in zip(self.matrix, self.speakers, strict=False):
            row[:] = _normalised(np.asarray(speaker.centroid, np.float32)[None])[0]

    def new_name(self, key: Key, secret: str) -> str:
        """The pseudonym, or the next where it is taken: other features may put another voice into the same segment."""
        n, name = 0, pseudonym(key, secret)
        while name in self.names:
            n, name = n + 1, pseudonym(key, f"{secret}/{n + 1}")
        return name

    def holds(self, centroid: np.ndarray, threshold: float) -> bool:
        """Whether somebody is at least `threshold` near."""
        return bool(np.any(self._cosines(centroid) >= threshold))

    def nearest(self, centroid: np.ndarray, threshold: float) -> Voiceprint:
        """The most similar of the enrolled who are near enough, before all found ones: a name beats a pseudonym."""
        cosines = self._cosines(centroid)
        known = np.array([speaker.known for speaker in self.speakers])
        near = np.where(known & (cosines >= threshold), cosines, -np.inf)
        return self.speakers[int(np.argmax(near if np.isfinite(near).any() else cosines))]

    def _cosines(self, centroid: np.ndarray) -> np.ndarray:
        return np.asarray(self.matrix[: len(self.speakers)] @ centroid)

    def add(self, speaker: Voiceprint) -> None:
        if len(self.speakers) == len(self.matrix):
            self.matrix = np.concatenate([self.matrix, np.zeros_like(self.matrix)])
        self.matrix[len(self.speakers)] = speaker.centroid
        self.speakers.append(speaker)
        self.names.add(speaker.speaker_id)


def _voices(order: list[int], keys: Sequence[Key], embeddings: np.ndarray, threshold: float) -> list[list[int]]:
    """Groups of indices: the voices of each recording, recordings and voices in the order of their first key."""
    recordings: dict[str, list[int]] = {}
    for index in order:
        recordings.setdefault(keys[index][0], []).append(index)
    voices: list[list[int]] = []
    for members in recordings.values():
        for start in range(0, len(members), _MOST_AT_ONCE):
            part = members[start : start + _MOST_AT_ONCE]
            labels = _cluster(embeddings[part], threshold)
            groups: dict[int, list[int]] = {}
            for index, label in zip(part, labels, strict=True):
                groups.setdefault(int(label), []).append(index)
            voices += groups.values()
    return voices


def _cluster(embeddings: np.ndarray, threshold: float) -> np.ndarray:
    if len(embeddings) == 1:
        return np.zeros(1, int)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(embeddings.astype(np.float64), method="average", metric="cosine")
    return np.asarray(fcluster(tree, t=max(0.0, 1.0 - threshold), criterion="distance"))


def _normalised(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
