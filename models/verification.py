"""Are two utterances of the same voice? Cosines of labelled pairs, and what they say about an encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.audio import SAMPLE_RATE
from features.batches import padded, sorted_batches
from models.labels import Speech

_BATCH_SAMPLES = 60 * SAMPLE_RATE
_P_TARGET = 0.01  # of min DCF, NIST SRE's: one trial in a hundred is of the same voice, both errors cost 1


class Encoder(Protocol):
    def embed(self, waveform: Tensor, lengths: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Trials:
    """Pairs of utterances. `weights` sum to 1 over the same-voice pairs, and to 1 over the others."""

    cosines: np.ndarray  # (n,) float64
    same: np.ndarray  # (n,) bool
    weights: np.ndarray  # (n,) float64
    top1: float  # share of utterances whose nearest enrolled voice is their own

    def errors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Thresholds, falling, with the false-accept and the false-reject rate of "same from here up"."""
        order = np.argsort(-self.cosines, kind="stable")
        cosines, same, weights = self.cosines[order], self.same[order], self.weights[order]
        accepted = np.cumsum(np.where(same, 0.0, weights))
        rejected = 1.0 - np.cumsum(np.where(same, weights, 0.0))
        last = np.append(cosines[1:] != cosines[:-1], True)  # equal cosines stand or fall together
        return cosines[last], accepted[last], rejected[last].clip(0.0)

    def eer(self) -> float:
        """Equal error rate: where as many others are accepted as same voices are rejected."""
        _, accepted, rejected = self.errors()
        accepted, rejected = np.append(0.0, accepted), np.append(1.0, rejected)
        after = int(np.argmax(accepted >= rejected))
        gap = (accepted - rejected)[after - 1 : after + 1]
        share = gap[0] / (gap[0] - gap[1])
        return float(accepted[after - 1] + share * (accepted[after] - accepted[after - 1]))

    def min_dcf(self) -> float:
        """The least detection cost over all thresholds, of that of always saying no; between 0 and 1."""
        _, accepted, rejected = self.errors()
        cost = rejected + accepted * (1 - _P_TARGET) / _P_TARGET
        return float(min(1.0, cost.min()))

    def threshold(self, false_accept_rate: float) -> float:
        """The lowest cosine from which on at most that share of the others is accepted."""
        cosines, accepted, _ = self.errors()
        within = accepted <= false_accept_rate + 1e-12
        if not within.any():
            return float(np.nextafter(cosines[0], 2.0))
        lowest = int(np.flatnonzero(within)[-1])
        next_down = cosines[min(lowest + 1, len(cosines) - 1)]
        return float((cosines[lowest] + next_down) / 2)

    def calibration(self) -> tuple[float, float]:
        """(slope, offset) of the logistic curve from cosine to probability, when either answer is as likely before."""
        design = np.stack([self.cosines, np.ones_like(self.cosines)], axis=1)
        line = np.zeros(2)
        for _ in range(100):  # Newton's method, with a little ridge where the two never overlap
            probability = 1 / (1 + np.exp(-np.clip(design @ line, -60, 60)))
            slope = design.T @ (self.weights * (self.same - probability)) - 1e-4 * line
            curve = (design * (self.weights * probability * (1 - probability))[:, None]).T @ design + 1e-4 * np.eye(2)
            step = np.linalg.solve(curve, slope)
            line = line + step
            if np.abs(step).max() < 1e-9:
                break
        return float(line[0]), float(line[1])

    def metrics(self) -> dict[str, Any]:
        return {
            "eer": round(self.eer(), 4),
            "min_dcf": round(self.min_dcf(), 4),
            "top1": round(self.top1, 4),
            "n_trials": len(self.cosines),
            "n_same": int(self.same.sum()),
        }


def trials_between(model: Encoder, speech: Sequence[Speech]) -> Trials:
    """Every pair of utterances within each corpus; corpora count alike, however many pairs they have.

    Pairs across corpora are left out: rooms and microphones would tell those apart. A speaker with a single clip gives
    its two halves. Top-1: each speaker is enrolled with the first utterance, the others look for the nearest.
    Raises UsageError where no corpus has two speakers, one of them heard twice.
    """
    utterances = list(_halved(speech))
    vectors = embed_all(model, [item.waveform for item in utterances])
    cosines, same, weights, hits = [], [], [], []
    for corpus in sorted({item.clip.corpus for item in utterances}):
        chosen = [index for index, item in enumerate(utterances) if item.clip.corpus == corpus]
        names = np.array([utterances[index].clip.speaker for index in chosen])
        matrix = vectors[chosen].astype(np.float64) @ vectors[chosen].astype(np.float64).T
        pair = np.triu_indices(len(chosen), 1)
        alike = (names[:, None] == names)[pair]
        if not alike.any() or alike.all():
            continue
        cosines.append(matrix[pair])
        same.append(alike)
        weights.append(np.where(alike, 1 / alike.sum(), 1 / (~alike).sum()))
        first = np.unique(names, return_index=True)[1]
        others = np.setdiff1d(np.arange(len(names)), first)
        hits.append(float(np.mean(names[first][matrix[others][:, first].argmax(1)] == names[others])))
    if not cosines:
        raise UsageError(
            f"expected a corpus with two speakers or more, found {len(speech)} clips of "
            f"{len({item.clip.speaker for item in speech})}: fill in the column speaker, or add clips"
        )
    shares = np.concatenate(weights) / len(weights)
    return Trials(np.concatenate(cosines), np.concatenate(same), shares, float(np.mean(hits)))


def embed_all(model: Encoder, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """(n, dim) float32, in batches of similar length."""
    rows: dict[int, np.ndarray] = {}
    for batch in sorted_batches([len(waveform) for waveform in waveforms], most_samples=_BATCH_SAMPLES):
        embedded = model.embed(*padded([waveforms[index] for index in batch], torch.device("cpu"))).numpy()
        rows.update(zip(batch, embedded, strict=True))
    return np.stack([rows[index] for index in range(len(waveforms))])


def _halved(speech: Sequence[Speech]) -> Iterator[Speech]:
    n_clips: dict[str, int] = {}
    for item in speech:
        n_clips[item.clip.speaker] = n_clips.get(item.clip.speaker, 0) + 1
    for item in speech:
        halves = np.array_split(item.waveform, 2 if n_clips[item.clip.speaker] == 1 else 1)
        yield from (Speech(item.clip, item.recording_id, half) for half in halves)
