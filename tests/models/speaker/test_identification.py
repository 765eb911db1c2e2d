"""Closed-set and open-set identification of synthetic voices."""

import numpy as np
import pytest

from models.speaker.identification import closed_set, open_set
from models.speaker.trials import Utterances


def _utterances(n_speakers: int, spread: float, *, each: int = 6) -> Utterances:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((n_speakers, 64)).repeat(each, axis=0)
    vectors = vectors + spread * random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.array([f"s{i:02}" for i in range(n_speakers)]).repeat(each)
    empty = np.full(len(names), "")
    return Utterances(vectors.astype(np.float32), names, np.full(len(names), "lab"), empty)


def test_clear_voices_are_all_found() -> None:
    clear = _utterances(10, 0.1)
    assert closed_set(clear) == 1
    assert open_set(clear)["detection_and_identification"] == 1


def test_noise_is_found_by_chance() -> None:
    noise = _utterances(10, 1e3, each=30)
    assert closed_set(noise) == pytest.approx(0.1, abs=0.06)
    found = open_set(noise, n_draws=10)
    assert found["identification_of_enrolled"] == pytest.approx(0.2, abs=0.08)
    assert found["detection_and_identification"] < 0.05  # strangers hold the threshold up


def test_blurred_voices_are_detected_less_often_than_they_are_nearest() -> None:
    found = open_set(_utterances(20, 1.5))
    assert 0.1 < found["detection_and_identification"] < found["identification_of_enrolled"] < 1
    assert found == open_set(_utterances(20, 1.5))


def test_more_false_accepts_detect_more() -> None:
    blurred = _utterances(20, 1.5)
    strict, lax = (open_set(blurred, false_accept_rate=rate) for rate in (0.01, 0.2))
    assert lax["detection_and_identification"] > strict["detection_and_identification"]


def test_without_two_speakers_there_is_nobody_to_find() -> None:
    assert np.isnan(closed_set(_utterances(1, 0.1)))
