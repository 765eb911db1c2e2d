"""Voices of a recording: its utterances, joined by agglomerative clustering of the evidence between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.speaker.decision import Decision

Key = tuple[str, int, int]  # recording_id, channel, segment
MIN_VOICE_S = 1.5  # of speech; a shorter utterance makes no voice of its own beside longer ones
MAX_CLUSTERED = 2_000  # utterances or voices at a time; memory grows with the square


@dataclass(frozen=True)
class Voice:
    """Utterances of one recording by one speaker."""

    members: list[int]  # in the order of their keys
    first: Key
    speech_s: float
    centroid: np.ndarray  # (dim,) of unit length, centred
    raw: np.ndarray  # (dim,) of unit length, as the encoder made it


def join_voices(
    keys: Sequence[Key],
    embeddings: np.ndarray,  # (n, dim) of unit length, as the encoder made them
    centred: np.ndarray,  # (n, dim) of unit length, centred
    seconds: np.ndarray,  # (n,) speech
    decision: Decision,
) -> list[Voice]:
    """Join the utterances of each recording into voices, in the order of their first keys.

    Long utterances are clustered; each of the others joins the nearest, since a recording has few voices.
    """
    recordings: dict[str, list[int]] = {}
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        recordings.setdefault(keys[index][0], []).append(index)
    weights = np.asarray(seconds, np.float64) + 1e-3

    def voice(members: list[int]) -> Voice:
        members = sorted(members, key=keys.__getitem__)
        means = (unit(weights[members] @ vectors[members]) for vectors in (centred, embeddings))
        return Voice(members, keys[members[0]], float(seconds[members].sum()), *means)

    found = []
    for members in recordings.values():
        for start in range(0, len(members), MAX_CLUSTERED):
            part = np.array(members[start : start + MAX_CLUSTERED])
            groups = _join_utterances(centred[part], np.asarray(seconds)[part], decision)
            found += [voice(part[group].tolist()) for group in groups]
    return sorted(found, key=lambda each: each.first)


def cluster(
    vectors: np.ndarray,  # (n, dim) of unit length
    seconds: np.ndarray,  # (n,) speech
    decision: Decision,
    least: float,
) -> list[list[int]]:
    """Return groups of rows, by average linkage, down to a mean evidence of `least`; by their first rows."""
    if len(vectors) == 1:
        return [[0]]
    from scipy.cluster.hierarchy import fcluster, linkage

    first, second = np.triu_indices(len(vectors), 1)
    evidence = decision.evidence((vectors @ vectors.T)[first, second], seconds[first], seconds[second])
    highest = max(float(evidence.max()), least)
    labels = fcluster(linkage(highest - evidence, method="average"), t=highest - least, criterion="distance")
    groups: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(int(label), []).append(row)
    return list(groups.values())


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the direction of a vector, float32."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def _join_utterances(vectors: np.ndarray, seconds: np.ndarray, decision: Decision) -> list[list[int]]:
    long = np.flatnonzero(seconds >= MIN_VOICE_S)
    if not len(long):
        return cluster(vectors, seconds, decision, decision.same_voice)
    groups = [long[group].tolist() for group in cluster(vectors[long], seconds[long], decision, decision.same_voice)]
    lengths = np.array([seconds[group].sum() for group in groups])
    means = np.stack([unit(seconds[group] @ vectors[group]) for group in groups])
    for row in np.flatnonzero(seconds < MIN_VOICE_S):
        groups[int(np.argmax(decision.evidence(means @ vectors[row], seconds[row], lengths)))].append(int(row))
    return groups
