"""Classification metrics: unweighted average recall, accuracy, confusion and calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_N_BINS = 10  # of the calibration error


def classification_metrics(
    scores: np.ndarray,  # (n, n_classes), rows sum to one
    labels: np.ndarray,  # (n,) indices into `classes`
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return plain numbers for JSON.

    UAR is the mean recall of the classes that occur; `ece` the calibration error;
    `wrong_confidence` the mean confidence of what is wrong, None where nothing is.
    """
    predicted = scores.argmax(1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, predicted), 1)
    totals = confusion.sum(1)
    recall = {name: confusion[i, i] / totals[i] for i, name in enumerate(classes) if totals[i]}
    likelihood = scores[np.arange(len(labels)), labels].clip(1e-12)
    return {
        "uar": round(float(np.mean(list(recall.values()))), 4),
        "accuracy": round(float(np.mean(predicted == labels)), 4),
        "per_class": {name: round(float(value), 4) for name, value in recall.items()},
        "confusion": {
            name: {other: int(confusion[i, j]) for j, other in enumerate(classes)} for i, name in enumerate(classes)
        },
        "log_loss": round(float(-np.log(likelihood).mean()), 4),
        "ece": round(calibration_error(scores.max(1), predicted == labels), 4),
        "wrong_confidence": _mean(scores.max(1)[predicted != labels]),
        "n": len(labels),
    }


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def uar(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the unweighted average recall, over the classes that occur."""
    return float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))


def calibration_error(
    confidence: np.ndarray,  # (n,) probability of the predicted class
    correct: np.ndarray,  # (n,) bool
) -> float:
    """Return the gap of confidence and accuracy, averaged over bins of confidence (Naeini et al., AAAI 2015)."""
    place = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    gap = [abs(float((confidence[place == b] - correct[place == b]).sum())) for b in range(_N_BINS)]
    return sum(gap) / len(confidence)
