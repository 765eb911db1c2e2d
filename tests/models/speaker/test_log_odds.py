"""Log odds by cosine and durations: they grow with both, are stored, and are calibrated on what they were fitted on."""

import json

import numpy as np
import pytest

from data_contracts.errors import UsageError
from models.speaker.log_odds import LogOdds, fit_log_odds

N_SPEAKERS, EACH, DIM = 30, 8, 24


def _speech(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors, speakers, corpora and seconds: the less speech, the more noise beside the voice."""
    random = np.random.default_rng(seed)
    speakers = np.arange(N_SPEAKERS).repeat(EACH)
    seconds = random.choice([0.5, 1.0, 3.0, 10.0], len(speakers))
    voices = random.normal(size=(N_SPEAKERS, DIM))[speakers]
    vectors = voices + random.normal(size=voices.shape) / np.sqrt(seconds)[:, None]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, speakers.astype(str), np.where(speakers % 2, "one", "other"), seconds


@pytest.fixture(scope="module")
def fitted() -> LogOdds:
    return fit_log_odds(*_speech())


def test_a_cosine_says_more_of_longer_speech(fitted):
    cosines = np.linspace(-1, 1, 21)
    short, long = fitted(cosines, 0.5, 0.5), fitted(cosines, 10.0, 10.0)
    assert (np.diff(short) > 0).all()
    assert (np.diff(long) > np.diff(short)).all()
    assert fitted(0.3, 10.0, 10.0) < 0 < fitted(0.3, 0.5, 0.5)


def test_the_order_of_the_two_does_not_matter(fitted):
    assert fitted(0.4, 1.0, 7.0) == pytest.approx(fitted(0.4, 7.0, 1.0))


def test_endless_speech_and_none_are_as_the_longest_and_the_shortest(fitted):
    assert fitted(0.4, 1e6, 2.0) == fitted(0.4, 20.0, 2.0)
    assert fitted(0.4, 0.0, 2.0) == fitted(0.4, 0.3, 2.0)


def test_probabilities_of_other_voices_come_true(fitted):
    vectors, speakers, _, seconds = _speech(seed=1)
    first, second = np.triu_indices(len(vectors), 1)
    same = speakers[first] == speakers[second]
    cosines = (vectors[first] * vectors[second]).sum(1)
    shortest, longest = np.sort([seconds[first], seconds[second]], axis=0)
    for rows in (longest <= 1.0, shortest >= 3.0):
        told = 1 / (1 + np.exp(-fitted(cosines[rows], seconds[first[rows]], seconds[second[rows]])))
        weights = np.where(same[rows], 0.5 / same[rows].sum(), 0.5 / (~same[rows]).sum())
        assert weights @ told == pytest.approx(0.5, abs=0.06)


def test_other_sessions_ask_less_of_long_speech(fitted):
    """Pairs of one session are nearer than those of a voice in another room, and are left out where they are known."""
    vectors, speakers, corpora, seconds = _speech()
    sessions = np.arange(len(vectors)) % 4
    random = np.random.default_rng(5)
    rooms = vectors + 0.15 * random.normal(size=(N_SPEAKERS * 4, DIM))[np.arange(len(vectors)) // EACH * 4 + sessions]
    rooms /= np.linalg.norm(rooms, axis=1, keepdims=True)
    apart = fit_log_odds(rooms, speakers, corpora, seconds, sessions=sessions)
    assert apart(0.5, 10.0, 10.0) > fitted(0.5, 10.0, 10.0)


def test_stored_as_json_and_read_again(fitted):
    assert LogOdds.from_dict(json.loads(json.dumps(fitted.as_dict()))) == fitted


def test_one_voice_or_none_heard_twice_is_refused():
    vectors, speakers, corpora, seconds = _speech()
    with pytest.raises(UsageError, match="two speakers"):
        fit_log_odds(vectors[:8], speakers[:8], corpora[:8], seconds[:8])
    with pytest.raises(UsageError, match="two speakers"):
        fit_log_odds(vectors[::8], speakers[::8], corpora[::8], seconds[::8])
