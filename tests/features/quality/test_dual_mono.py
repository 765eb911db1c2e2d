"""Dual mono and calls of two voices, also behind coders that join two channels."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from data_contracts.errors import UsageError
from features.quality.dual_mono import DualMonoDetector

RATE = 48_000


def voice(seconds, hz, seed):
    """Pulses through two resonances, and a hiss in every other syllable; on and off three times a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    turns = np.floor(time * hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time)))
    wave = np.diff(turns, prepend=0)
    for formant_hz in (600, 1_700):
        wave = lfilter([1], [1, -1.98 * np.cos(2 * np.pi * formant_hz / RATE), 0.9801], wave)
    hiss = np.random.default_rng(seed).normal(0, 0.3, len(time)) * (np.sin(2 * np.pi * 1.5 * time) > 0.7)
    wave = wave / np.abs(wave).max() * (np.sin(2 * np.pi * 3 * time) > -0.5) + lfilter([1, -1], [1], hiss)
    return 0.3 * wave / np.abs(wave).max()


def coded(samples, codec, container, bit_rate, rate=RATE):
    """(frames, channels) through a coder and back."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = bit_rate
        whole = av.AudioFrame.from_ndarray(samples.T.astype(np.float32).copy(), format="fltp", layout="stereo")
        whole.sample_rate = rate
        fifo = av.AudioFifo()
        for frame in av.AudioResampler(stream.codec_context.format.name, "stereo", rate).resample(whole):
            frame.pts = None
            fifo.write(frame)
        while (frame := fifo.read(stream.codec_context.frame_size, partial=True)) is not None:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as back:
        planar = av.AudioResampler("fltp")
        return np.concatenate([p.to_ndarray() for f in back.decode(audio=0) for p in planar.resample(f)], axis=1).T


def is_dual_mono(samples, rate=RATE):
    meter = DualMonoDetector(rate, samples.shape[1])
    meter.add(samples.astype(np.float32))
    return meter.is_dual_mono()


@pytest.fixture(scope="module")
def twice():
    one = voice(6.0, 120, 0)
    return np.stack([one, one], axis=1)


@pytest.fixture(scope="module")
def call():
    """Two people in turns of a second, each heard in the other's channel at -30 dB."""
    turn = (np.arange(6 * RATE) // RATE) % 2
    left, right = voice(6.0, 120, 0) * turn, voice(6.0, 210, 1) * (1 - turn)
    crosstalk = 10 ** (-30 / 20)
    return np.stack([left + crosstalk * right, right + crosstalk * left], axis=1)


CODERS = [("libmp3lame", "mp3", 64_000), ("libmp3lame", "mp3", 32_000), ("aac", "adts", 64_000), ("ac3", "ac3", 96_000)]


@pytest.mark.parametrize("coder", CODERS)
def test_dual_mono_is_found_behind_a_coder(twice, coder):
    assert is_dual_mono(coded(twice, *coder))


@pytest.mark.parametrize("coder", CODERS)
def test_a_call_is_not_dual_mono(call, coder):
    assert not is_dual_mono(call)
    assert not is_dual_mono(coded(call, *coder))


def test_the_coder_does_make_the_channels_differ(twice):
    """Or the test above would say nothing of AAC."""
    heard = coded(twice, "aac", "adts", 64_000)
    difference = np.square(heard[:, 1] - heard[:, 0]).mean() / np.square(heard[:, 0]).mean()
    assert 10 * np.log10(difference) > -60


def test_one_word_in_one_channel_is_enough(twice):
    """A second voice for 0.3 s, 20 dB below, in a minute of dual mono."""
    minute = np.tile(twice, (10, 1))
    minute[2_000_000 : 2_000_000 + round(0.3 * RATE), 1] += 0.1 * voice(0.3, 210, 1)
    assert not is_dual_mono(minute)
    assert is_dual_mono(np.tile(twice, (10, 1)))


def test_equal_and_different_channels(twice):
    noise = np.random.default_rng(0).normal(0, 1e-4, twice.shape)
    assert is_dual_mono(twice + noise)
    assert not is_dual_mono(twice * [1.0, 0.5])
    assert not is_dual_mono(twice * [1.0, 0.0])
    assert not is_dual_mono(twice * [0.0, 1.0])
    assert not is_dual_mono(twice * [1.0, -1.0])
    assert is_dual_mono(np.repeat(twice, 3, axis=1))
    assert not is_dual_mono(np.concatenate([np.repeat(twice, 2, axis=1), twice[::-1]], axis=1))
    assert not is_dual_mono(twice[:, :1])


def test_thousands_of_channels_take_no_memory():
    meter = DualMonoDetector(RATE, 10_000)
    meter.add(np.zeros((100, 10_000), np.float32))
    assert not meter.is_dual_mono()
    assert meter._buffer.nbytes < 100_000


def test_silence_and_constant():
    assert is_dual_mono(np.zeros((RATE, 2)))
    assert is_dual_mono(np.full((RATE, 2), 0.5))
    assert DualMonoDetector(RATE, 2).is_dual_mono()
    assert not DualMonoDetector(RATE, 1).is_dual_mono()


@pytest.mark.parametrize("n", [1, 7, 5_000])
def test_extremes_do_not_raise(n):
    assert is_dual_mono(np.full((n, 2), 3e38))
    assert is_dual_mono(np.full((n, 2), 1e-45))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30_000), max_size=8), st.sampled_from([-24.0, -26.0]), st.booleans())
def test_cuts_change_nothing(cuts, difference_db, asked_between):
    rng = np.random.default_rng(0)
    one = rng.normal(0, 0.1, 30_000)
    samples = np.stack([one, one + rng.normal(0, 0.1, 30_000) * 10 ** (difference_db / 20)], axis=1).astype(np.float32)
    meter = DualMonoDetector(16_000, 2)
    for piece in np.split(samples, sorted(cuts)):
        meter.add(piece)
        if asked_between:
            meter.is_dual_mono()
    whole = DualMonoDetector(16_000, 2)
    whole.add(samples)
    assert meter.is_dual_mono() == whole.is_dual_mono()
    assert (meter._largest_difference, meter._power) == (whole._largest_difference, whole._power)


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="channel"):
        DualMonoDetector(16_000, 0)
