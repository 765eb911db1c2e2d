"""A night's centre: the mean of its voices where there are many, the model's own where there are few."""

import numpy as np
import pytest

from models.speaker.centring import centred, night_centre
from models.speaker.decision import Decision
from models.speaker.log_odds import LogOdds

DIM = 64
OWN, ROOM = np.eye(DIM, dtype=np.float32)[0] * 0.3, np.eye(DIM, dtype=np.float32)[1] * 0.6
DECISION = Decision(0.5, 10.0, -5.0, LogOdds(1.0, (-10.0, 20.0, 0.0, 0.0, 0.0)), OWN)


def _night(n_voices: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and seconds of voices in one room."""
    random = np.random.default_rng(seed)
    voices = random.normal(size=(n_voices, DIM)) / np.sqrt(DIM)
    heard = voices.repeat(each, 0) + 0.02 * random.normal(size=(n_voices * each, DIM)) + OWN + ROOM
    return centred(heard, np.zeros(DIM)), np.full(len(heard), 3.0)


def _share_of_room(centre: np.ndarray) -> float:
    return float((centre - OWN)[1] / ROOM[1])


def test_what_many_voices_share_is_taken_away():
    embeddings, seconds = _night(60, 2)
    assert _share_of_room(night_centre(embeddings, seconds, DECISION)) > 0.55
    left = centred(embeddings, night_centre(embeddings, seconds, DECISION))
    apart = left[::2] @ left[::2].T - np.eye(60)
    assert abs(apart.mean()) < 0.1 < (embeddings[::2] @ embeddings[::2].T - np.eye(60)).mean()


def test_who_talks_all_night_counts_once():
    one, seconds = _night(1, 200)
    few = _share_of_room(night_centre(one, seconds, DECISION))
    assert few == pytest.approx(_share_of_room(night_centre(one[:2], seconds[:2], DECISION)), abs=0.02)
    assert few < 0.15
    embeddings, _ = _night(20, 1)
    talkative = np.concatenate([embeddings, embeddings[:1].repeat(300, 0)])
    expected = night_centre(embeddings, np.full(20, 3.0), DECISION)
    np.testing.assert_allclose(night_centre(talkative, np.full(320, 3.0), DECISION), expected, atol=0.06)


def test_words_are_not_counted_and_nobody_leaves_the_models_own():
    embeddings, seconds = _night(20, 1)
    none = night_centre(embeddings, np.full(20, 0.5), DECISION)
    np.testing.assert_array_equal(none, OWN)
    longer = night_centre(np.concatenate([embeddings, -embeddings]), np.repeat([3.0, 0.5], 20), DECISION)
    np.testing.assert_array_equal(longer, night_centre(embeddings, seconds, DECISION))


def test_a_model_without_a_centre_is_compared_as_it_was():
    embeddings, seconds = _night(20, 1)
    for model in (Decision(0.5, 10.0, -5.0), Decision(0.5, 10.0, -5.0, DECISION.log_odds)):
        assert not night_centre(embeddings, seconds, model).any()
