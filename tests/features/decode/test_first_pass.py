"""First pass over a recording: the channels of its mix, and gains; a stretch is prepared as the whole."""

import numpy as np
import pytest
from helpers.audio_files import written

from features.decode import process_pool
from features.decode.config import AudioConfig
from features.decode.recording import decode, decode_windows
from features.resources import Resources

RATE = 16_000


def tone(seconds=1.0, hz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def hiss(seconds):
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def stacked(*channels, codec="wav/pcm_16"):
    return written(np.stack(channels, axis=1).astype(np.float32), codec)


def test_a_channel_without_sound_does_not_make_the_mix_quieter():
    found = decode(stacked(np.zeros(RATE), np.zeros(RATE), tone(peak=0.9)), config=AudioConfig(dc="none"))
    assert found.waveform == pytest.approx(tone(peak=0.9), abs=1e-4)
    assert (found.measures.mixed, found.measures.channels, found.measures.flaw) == ((2,), (0,), None)


@pytest.mark.parametrize("codec", ["wav/pcm_16", "mp3"])
def test_of_two_channels_in_opposite_phase_one_is_analysed(codec):
    """They were `silent`: nothing is left of them in the mix."""
    found = decode(stacked(tone(), -tone(), codec=codec))
    assert np.std(found.waveform[4000:12_000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert found.measures.mixed == (0,)
    assert found.measures.flaw.startswith("inverted: ")


def test_a_stretch_is_mixed_as_the_whole_recording():
    """The left channel speaks late: a stretch that holds the right one alone is mixed of both nevertheless."""
    late = np.concatenate([np.zeros(40 * RATE, np.float32), hiss(40.0)])
    for left in (late, np.zeros_like(late), -hiss(80.0)):
        data = stacked(left, hiss(80.0))
        *windows, measures = decode_windows(data, config=AudioConfig())
        for n, window in enumerate(windows):
            (again,) = decode_windows(data, config=AudioConfig(), only=(n, n + 1), mixed=measures.mixed)
            assert np.array_equal(again.samples, window.samples)


@pytest.mark.parametrize("peak", [0.02, 0.5])
def test_loudness_is_levelled(peak):
    data = stacked(tone(3.0, peak=peak))
    found = decode(data, config=AudioConfig(level_lufs=-20.0))
    again = decode(stacked(found.waveform, codec="wav/float"))
    assert again.measures.loudness_lufs == pytest.approx(-20.0, abs=0.1)
    assert found.measures.loudness_lufs == pytest.approx(decode(data).measures.loudness_lufs)


def test_loudness_is_levelled_by_channel():
    config = AudioConfig(channels="each", level_lufs=-20.0)
    found = decode(stacked(tone(3.0, peak=0.5), tone(3.0, hz=441, peak=0.05)), config=config)
    assert np.std(found.waveforms[1]) == pytest.approx(np.std(found.waveforms[0]), rel=0.02)


def test_the_decoder_process_is_told_what_the_first_pass_found():
    data, resources = stacked(tone(), np.zeros(RATE)), Resources()
    *_, measures = process_pool.decode_windows(data, config=AudioConfig(), resources=resources)
    assert measures.mixed == (0,)
    for mixed, level in ((measures.mixed, 1.0), ((), 0.5), ((1,), 0.0)):
        (window,) = process_pool.decode_windows(
            data, config=AudioConfig(), resources=resources, only=(0, 1), mixed=mixed
        )
        assert np.std(window.samples) == pytest.approx(level * np.std(tone()), rel=0.01)
