"""SNR of noises and pauses of known levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.quality.snr import snr_db

CHUNK = 512


def powers(levels_db, seed=0):
    """(chunks,): mean squares of white noise at these levels."""
    noise = np.random.default_rng(seed).normal(size=(len(levels_db), CHUNK))
    return np.square(noise).mean(axis=1) * 10 ** (np.asarray(levels_db) / 10)


def turns(n, share=0.6):
    """(chunks,) bool: speech in the first part of each 50 chunks."""
    return np.arange(n) % 50 < share * 50


@pytest.mark.parametrize("expected", [-5, 0, 5, 10, 20, 40, 60])
def test_known_levels(expected):
    speech = turns(500)
    noise, voice = powers(np.full(500, -70.0)), powers(np.full(500, -70.0 + expected), seed=1)
    assert snr_db(noise + speech * voice, speech) == pytest.approx(expected, abs=0.5)


def test_the_level_of_the_recording_does_not_matter():
    speech = turns(300)
    power = powers(np.where(speech, -20.0, -50.0))
    assert snr_db(1e-4 * power, speech) == pytest.approx(snr_db(power, speech), abs=1e-9)


def test_speech_that_was_missed_and_clicks_do_not_count_as_noise():
    speech = turns(500)
    power = powers(np.where(speech, -30.0, -60.0))
    found = speech & (np.arange(500) % 50 > 2)  # the onsets are missed
    power[[49, 149, 249]] = 1.0
    assert snr_db(power, found) == pytest.approx(30, abs=0.7)


def test_without_pauses_the_quietest_speech_is_the_noise():
    speech = np.ones(200, bool)
    power = powers(np.where(np.arange(200) % 8 == 0, -50.0, -30.0))
    assert snr_db(power, speech) == pytest.approx(20, abs=1.0)


def test_digital_silence_is_no_noise():
    speech = turns(500, share=0.4)
    power = powers(np.where(speech, -30.0, -55.0))
    muted = power * (np.arange(500) % 50 < 35)  # the end of each pause
    assert snr_db(muted, speech) == pytest.approx(25, abs=0.5)
    assert snr_db(power * speech, speech) < 3  # speech alone, of one level: nothing tells it from noise


def test_silence_and_constant():
    none, everything = np.zeros(100, bool), np.ones(100, bool)
    assert snr_db(np.zeros(100), everything) is None
    assert snr_db(np.ones(100), none) is None
    assert snr_db(np.zeros(0), np.zeros(0, bool)) is None
    assert snr_db(np.ones(100), everything) == -20  # no chunk is louder than another
    assert snr_db(np.ones(1), np.ones(1, bool)) == -20


@given(st.lists(st.tuples(st.sampled_from([0.0, 1e-45, 1e-12, 0.01, 1.0, 1e38, 1e76]), st.booleans()), max_size=80))
def test_extremes_do_not_raise(chunks):
    power = np.array([power for power, _ in chunks], float)
    found = snr_db(power, np.array([speech for _, speech in chunks], bool))
    assert found is None or -20 <= found <= 100
