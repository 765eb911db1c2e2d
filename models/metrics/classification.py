"""How well labels were guessed: unweighted average recall, accuracy, confusion, and whether the scores are honest."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_N_BINS = 10  # of the calibration error


def classification_metrics(
    scores: np.ndarray,  # (n, n_classes), rows sum to one
    labels: np.ndarray,  # (n,) indices into `classes`
    classes: Sequence[str],
) -> dict[str, Any]:
    """Plain numbers for JSON. UAR is the mean recall of the classes that occur; `ece` the calibration error."""
    guessed = scores.argmax(1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, guessed), 1)
    totals = confusion.sum(1)
    recall = {name: confusion[i, i] / totals[i] for i, name in enumerate(classes) if totals[i]}
    likelihood = scores[np.arange(len(labels)), labels].clip(1e-12)
    return {
        "uar": round(float(np.mean(list(recall.values()))), 4),
        "accuracy": round(float(np.mean(guessed == labels)), 4),
        "per_class": {name: round(float(value), 4) for name, value in recall.items()},
        "confusion": {
            name: {guess: int(confusion[i, j]) for j, guess in enumerate(classes)} for i, name in enumerate(classes)
        },
        "log_loss": round(float(-np.log(likelihood).mean()), 4),
        "ece": round(calibration_error(scores.max(1), guessed == labels), 4),
        "n": len(labels),
    }


def uar(guessed: np.ndarray, labels: np.ndarray) -> float:
    """The mean recall of the classes that occur."""
    return float(np.mean([np.mean(guessed[labels == label] == label) for label in np.unique(labels)]))


def calibration_error(
    confidence: np.ndarray,  # (n,) probability of the guess
    correct: np.ndarray,  # (n,) bool
) -> float:
    """How far confidence and accuracy are apart, on average over bins of confidence (Naeini et al., AAAI 2015)."""
    place = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    gap = [abs(float((confidence[place == b] - correct[place == b]).sum())) for b in range(_N_BINS)]
    return sum(gap) / len(confidence)
