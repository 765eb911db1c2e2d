"""Effective bandwidth of noises and voices with a known band."""

import numpy as np
import pytest
import soxr
from helpers.sound import noise_array
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, lfilter

from data_contracts.errors import UsageError
from features.quality.bandwidth import BandwidthMeter

CLOSE_HZ = 250.0
LEAKAGE_HZ = 750.0  # how far a Hann window's skirts reach at full scale


def bandwidth(samples, rate):
    meter = BandwidthMeter(rate)
    meter.add(samples.astype(np.float32))
    return meter.bandwidth_hz()


def noise(rate, seconds=3.0, level=0.05, seed=0):
    return noise_array(round(rate * seconds), level=level, seed=seed)


def low_passed(samples, rate, cutoff_hz):
    return lfilter(firwin(511, cutoff_hz, fs=rate), 1, samples)


def in_16_bits(samples):
    return np.round(np.clip(samples, -1, 1) * 32767) / 32768


def fading(rate, seconds=3.0):
    """Bursts of noise that falls by 12 dB an octave, in a room's faint noise: a band that nothing limits."""
    bursts = noise(rate, seconds) * (np.sin(2 * np.pi * 3 * np.arange(round(rate * seconds)) / rate) > 0)
    coloured = lfilter([0.02], [1, -1.9 * np.cos(0.1), 0.9025], bursts)
    return in_16_bits(coloured + noise(rate, seconds, 3e-4, seed=1))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("cutoff_hz", [3_400, 5_500, 7_000])
@pytest.mark.parametrize("level", [0.2, 0.003])
def test_a_low_pass_is_found(rate, cutoff_hz, level):
    limited = in_16_bits(low_passed(noise(rate, level=level), rate, cutoff_hz))
    assert bandwidth(limited, rate) == pytest.approx(cutoff_hz, abs=CLOSE_HZ)


@pytest.mark.parametrize("cutoff_hz", [11_000, 16_000, 20_000])
def test_a_codecs_low_pass_is_found(cutoff_hz):
    assert bandwidth(low_passed(noise(48_000), 48_000, cutoff_hz), 48_000) == pytest.approx(cutoff_hz, abs=CLOSE_HZ)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_telephone_at_a_higher_rate(rate):
    telephone = in_16_bits(soxr.resample(fading(8_000), 8_000, rate))
    assert bandwidth(telephone, rate) == pytest.approx(4_000, abs=CLOSE_HZ)


def test_a_telephone_that_was_recorded_again():
    """White noise 60 dB below, of the full band, is not the call's."""
    telephone = soxr.resample(fading(8_000), 8_000, 16_000)
    again = telephone + noise(16_000, level=telephone.std() / 1_000, seed=2)
    assert bandwidth(again, 16_000) == pytest.approx(4_000, abs=CLOSE_HZ)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_band_that_nothing_limits_is_whole(rate):
    assert bandwidth(noise(rate), rate) == pytest.approx(rate / 2, abs=CLOSE_HZ)
    assert bandwidth(fading(rate), rate) == pytest.approx(rate / 2, abs=CLOSE_HZ)


def test_looking_ends_at_24_khz():
    assert bandwidth(noise(192_000, 1.0), 192_000) == pytest.approx(24_000, abs=CLOSE_HZ)


def test_a_rare_click_is_no_content():
    limited = low_passed(noise(16_000, 10.0), 16_000, 3_400)
    limited[[20_000, 120_000]] = 0.9
    assert bandwidth(limited, 16_000) == pytest.approx(3_400, abs=CLOSE_HZ)


@pytest.mark.parametrize("level", [0.5, 1e-3])
def test_pure_tone_ends_at_its_frequency(level):
    tone = level * np.sin(2 * np.pi * 2_000 * np.arange(48_000) / 16_000)
    assert bandwidth(tone, 16_000) == pytest.approx(2_000, abs=LEAKAGE_HZ)


def test_silence_and_constant():
    assert bandwidth(np.zeros(32_000), 16_000) is None
    assert BandwidthMeter(48_000).bandwidth_hz() is None
    assert bandwidth(np.full(32_000, 0.3), 16_000) <= LEAKAGE_HZ


@pytest.mark.parametrize("n", [1, 2, 100, 511, 513])
@pytest.mark.parametrize("size", [0.0, 1.0, 3e38, 1e-45])
def test_extremes_do_not_raise(n, size):
    found = bandwidth(np.full(n, size), 16_000)
    assert found is None or 0 <= found <= 8_000


def test_less_than_a_frame():
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(400) / 16_000)
    assert bandwidth(tone, 16_000) < 5_000


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=10), st.booleans())
def test_cuts_change_nothing(cuts, asked_between):
    samples = fading(16_000, 2.6).astype(np.float32)
    whole, pieces = BandwidthMeter(16_000), BandwidthMeter(16_000)
    whole.add(samples)
    for piece in np.split(samples, sorted(cuts)):
        pieces.add(piece)
        if asked_between:
            pieces.bandwidth_hz()
    assert pieces.bandwidth_hz() == whole.bandwidth_hz()
    np.testing.assert_array_equal(pieces._counts + pieces._count_remaining(), whole._counts + whole._count_remaining())


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="4000"):
        BandwidthMeter(0)
