"""Classification metrics of known lists."""

import numpy as np
import pytest

from models.metrics.classification import calibration_error, classification_metrics, uar


def test_classification_of_a_known_list() -> None:
    scores = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    metrics = classification_metrics(scores, np.array([0, 0, 0, 1, 1, 2]), ["x", "y", "z"])
    assert metrics["per_class"] == {"x": 0.6667, "y": 1.0, "z": 1.0}
    assert metrics["uar"] == pytest.approx(8 / 9, abs=1e-4)
    assert metrics["accuracy"] == pytest.approx(5 / 6, abs=1e-4)
    assert metrics["confusion"]["x"] == {"x": 2, "y": 1, "z": 0}


def test_a_class_that_does_not_occur_has_no_recall() -> None:
    metrics = classification_metrics(np.eye(2), np.array([0, 0]), ["x", "y"])
    assert metrics["per_class"] == {"x": 0.5}
    assert metrics["uar"] == 0.5


def test_calibration_error_of_an_overconfident_guesser() -> None:
    assert calibration_error(np.full(10, 0.95), np.array([True] * 7 + [False] * 3)) == pytest.approx(0.25)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0


def test_recall_counts_classes_alike_however_often_they_occur() -> None:
    labels = np.array([0] * 9 + [1])
    assert uar(np.zeros(10, int), labels) == 0.5
    assert uar(labels, labels) == 1.0
