"""Offset, rumble and hum go; voices stay, in level and in time; the result does not depend on where one starts."""

import numpy as np
import pytest
from helpers.sound import noise_array
from hypothesis import given, settings
from hypothesis import strategies as st

from features.decode.rumble import REACH_S, remove_rumble

RATE = 16_000
RATES = (8_000, 11_025, 16_000, 48_000)


def tone(hz, seconds=4.0, rate=RATE):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def level_db(found, rate=RATE):
    """Of all but the ends, relative to a sine at full scale."""
    reach = round(REACH_S * rate)
    return 10 * np.log10(2 * np.square(found[reach:-reach], dtype=np.float64).mean())


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 60_000), rate=st.sampled_from(RATES), offset=st.floats(-1, 1))
def test_the_result_is_the_same_wherever_one_starts(start, rate, offset):
    samples = (offset + noise_array(70_000, level=0.3)).astype(np.float32)
    begin = max(0, start - round(REACH_S * rate))
    window = remove_rumble(samples[begin:], rate)[start - begin :]
    np.testing.assert_allclose(window, remove_rumble(samples, rate)[start:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [3, 20, 50, 60])
def test_rumble_and_hum_go(hz, rate):
    assert level_db(remove_rumble(tone(hz, rate=rate), rate), rate) < -85


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [75, 100, 150, 1_000, 3_400])
def test_voices_stay(hz, rate):
    voice, reach = tone(hz, rate=rate), round(REACH_S * rate)
    np.testing.assert_allclose(remove_rumble(voice, rate)[reach:-reach], voice[reach:-reach], atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.1, 0.3, 2.0])
def test_an_offset_goes_from_the_first_sample_to_the_last(seconds, rate):
    voice = (0.1 * tone(200, seconds, rate)).astype(np.float32)
    kept = voice.copy()
    found = remove_rumble(voice + np.float32(0.5), rate)
    assert (found.shape, found.dtype) == (voice.shape, np.float32)
    np.testing.assert_allclose(found, remove_rumble(voice, rate), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(voice, kept)


def test_silence_stays_silence():
    assert not remove_rumble(np.zeros(RATE, np.float32), RATE).any()


@pytest.mark.parametrize("offset", [0.0, 0.02])
def test_a_muted_line_stays_digital_silence(offset):
    """Else the low-pass rings into it, and pauses seem to hold the faintest of noises."""
    speech = noise_array(RATE).astype(np.float32)
    muted = np.concatenate([np.zeros(RATE, np.float32), speech, np.zeros(RATE // 2, np.float32)])
    found = remove_rumble(muted + np.float32(offset), RATE)
    assert not found[:RATE].any()
    assert not found[-RATE // 2 :].any()
    assert found[RATE : 2 * RATE].std() == pytest.approx(speech.std(), rel=0.02)
