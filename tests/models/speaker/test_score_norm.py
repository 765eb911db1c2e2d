"""Adaptive s-norm against known cohorts."""

import numpy as np
import pytest

from models.speaker.score_norm import Cohort, cosines, speaker_means


def _unit(*shape: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal(shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_scores_of_a_known_cohort() -> None:
    strangers = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], np.float32)
    voice = np.array([[1.0, 0.0]], np.float32)
    # the two nearest strangers have the cosines 1 and 0: mean 0.5, deviation 0.5
    assert Cohort(strangers, nearest=2).scores(voice, voice) == pytest.approx(np.array([[1.0]]))


def test_scores_are_symmetric_and_a_cohort_may_be_small() -> None:
    voices = _unit(5, 8, seed=0)
    scores = Cohort(_unit(3, 8, seed=1), nearest=50).scores(voices, voices)
    np.testing.assert_allclose(scores, scores.T)
    assert np.isfinite(scores).all()


def test_a_voice_like_everybody_must_be_more_alike() -> None:
    strangers = _unit(40, 8, seed=2)
    common = strangers.mean(0, keepdims=True) + 0.5 * strangers[:1]
    common /= np.linalg.norm(common)
    rare = -common
    cohort = Cohort(strangers, nearest=10)
    for voice in (common, rare):
        assert cosines(voice, voice) == pytest.approx(1, abs=1e-5)
    assert cohort.scores(common, common) < cohort.scores(rare, rare)


def test_speaker_means_have_unit_length_and_an_order() -> None:
    means = speaker_means(_unit(6, 4, seed=3), np.array(["b", "a", "b", "a", "a", "c"]))
    assert means.shape == (3, 4)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(means[2], _unit(6, 4, seed=3)[5], atol=1e-6)
