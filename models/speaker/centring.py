"""Centre of a night's voices: what rooms, lines and language add to all of them, and tells nobody apart.

The mean of the night's voices, shrunk towards the mean voice of the training by how many voices there are: of few, the
mean is mostly themselves. Voices are counted softly, each utterance by how many others are likely of its voice, so that
who talks all night counts once, and nothing needs a threshold (the diversity of order 0 of Leinster
and Cobbold, Ecology 93(3), 2012).
"""

import numpy as np

from models.speaker.decision import Decision

MIN_S = 1.5  # of speech of an utterance that counts
_MAX_COUNTED = 1_000  # utterances, evenly spread: memory grows with the square
_HALF_VOICES = 10.0  # voices of which the mean counts half


def night_centre(
    embeddings: np.ndarray,  # (n, dim) of unit length, in a fixed order
    seconds: np.ndarray,  # (n,) speech
    decision: Decision,
) -> np.ndarray:  # (dim,) float32
    """Return the vector to subtract from each embedding of a night, and from what it is compared with.

    Zeros for a model without a centre of its own: its scores are those of plain embeddings.
    """
    dim = embeddings.shape[1]
    if decision.centre is None or decision.log_odds is None:
        return np.zeros(dim, np.float32)
    own = decision.own_centre(dim)
    rows = np.flatnonzero(np.asarray(seconds) >= MIN_S)
    if not len(rows):
        return own
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_COUNTED)).astype(int)]
    vectors, lengths = centred(embeddings[rows], own), np.asarray(seconds, np.float64)[rows]
    alike = decision.evidence(vectors @ vectors.T, lengths[:, None], lengths) - decision.same_speaker
    probability = decision.probability(alike)
    np.fill_diagonal(probability, 1.0)
    weight = 1.0 / probability.sum(1)  # of a voice's utterances together: about 1
    n_voices = weight.sum()
    mean = weight @ embeddings[rows] / n_voices
    return np.asarray(own + n_voices / (n_voices + _HALF_VOICES) * (mean - own), np.float32)


def centred(
    embeddings: np.ndarray,  # (n, dim)
    centre: np.ndarray,  # (dim,)
) -> np.ndarray:  # (n, dim) float32 of unit length
    """Return the embeddings less the centre."""
    rows = np.asarray(embeddings, np.float32) - centre
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
