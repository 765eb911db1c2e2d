"""Loudness: the tones of EBU Tech 3341 (2016), other rates, any size of blocks."""

import time

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter, sosfreqz

from data_contracts.errors import UsageError
from features.quality.loudness import LoudnessMeter, k_weighting

EBU_LU = 0.1  # what Tech 3341 allows


def tone(level_db, seconds, *, rate=48_000, hz=1000.0):
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def stereo(*parts, rate=48_000):
    """(frames, 2): the same tone in both channels, (dBFS peak, seconds) after each other."""
    mono = np.concatenate([tone(level_db, seconds, rate=rate) for level_db, seconds in parts])
    return np.stack([mono, mono], axis=1).astype(np.float32)


def loudness(block, rate=48_000):
    meter = LoudnessMeter(rate, block.shape[1])
    meter.add(block)
    return meter.integrated_lufs()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23),  # 1
        ([(-33, 20)], -33),  # 2
        ([(-36, 10), (-23, 60), (-36, 10)], -23),  # 3: the relative gate
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),  # 4: and the absolute one
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),  # 5
    ],
)
def test_ebu_tech_3341(parts, expected):
    assert loudness(stereo(*parts)) == pytest.approx(expected, abs=EBU_LU)


def test_ebu_tech_3341_five_channels():
    """Case 6: the surround channels weigh 1.41, and the LFE nothing."""
    left, centre, surround = tone(-28, 20), tone(-24, 20), tone(-30, 20)
    lfe = tone(0, 20, hz=50.0)
    five = np.stack([left, left, centre, surround, surround], axis=1).astype(np.float32)
    assert loudness(five) == pytest.approx(-23, abs=EBU_LU)
    six = np.stack([left, left, centre, lfe, surround, surround], axis=1).astype(np.float32)
    assert loudness(six) == pytest.approx(loudness(five), abs=1e-6)


def test_the_standards_own_tone():
    """BS.1770: 997 Hz at full scale in one channel reads -3.01."""
    assert loudness(tone(0, 5, hz=997.0)[:, None]) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 96_000, 192_000, 768_000])
def test_other_rates(rate):
    assert loudness(stereo((-23, 10), rate=rate), rate) == pytest.approx(-23, abs=EBU_LU)
    hz = np.geomspace(20, 0.42 * min(rate, 48_000), 50)
    standard = np.abs(sosfreqz(k_weighting(48_000), worN=hz, fs=48_000)[1])
    found = np.abs(sosfreqz(k_weighting(rate), worN=hz, fs=rate)[1])
    assert np.abs(20 * np.log10(found / standard)).max() < 0.03


def by_ffmpeg(block, rate):
    """Its filter ebur128, another implementation of the standard."""
    graph, layout = av.filter.Graph(), {1: "mono", 2: "stereo", 6: "5.1"}[block.shape[1]]
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout=layout, time_base=f"1/{rate}")
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate, frame.pts = rate, 0
    graph.push(frame)
    graph.push(None)
    found = None
    while True:
        try:
            found = graph.pull().metadata.get("lavfi.r128.I", found)
        except av.EOFError:
            return float(found)


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_matches_ffmpeg(n_channels):
    """To 0.02 LU at 48 kHz, on coloured noise in bursts; at 16 kHz FFmpeg's high-pass gains 0.1 dB."""
    noise = np.random.default_rng(0).normal(0, 0.1, (20 * 48_000, n_channels))
    bursts = lfilter([1], [1, -0.95], noise, axis=0) * np.repeat([0.3, 0.003, 0.1, 0.0], 240_000)[:, None]
    block = bursts.astype(np.float32)
    assert loudness(block) == pytest.approx(by_ffmpeg(block, 48_000), abs=0.02)


@pytest.mark.corpora
def test_speech_at_16_khz_matches_ffmpeg_at_48_khz(speech):
    clips = np.concatenate([waveform.numpy() for waveform in speech])
    upsampled = soxr.resample(clips, 16_000, 48_000)[:, None].copy()
    assert loudness(clips[:, None], 16_000) == pytest.approx(by_ffmpeg(upsampled, 48_000), abs=0.03)


def test_the_standards_coefficients():
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), expected, atol=1e-6)


def test_less_than_400_ms_is_measured_as_one_block():
    assert loudness(stereo((-23, 0.25))) == pytest.approx(-23, abs=0.2)
    assert loudness(stereo((-23, 0.399))) == pytest.approx(loudness(stereo((-23, 0.4))), abs=0.1)


def test_silence_and_constant_have_no_loudness():
    assert loudness(np.zeros((48_000, 2), np.float32)) is None
    assert loudness(np.full((10 * 48_000, 1), 0.5, np.float32)[48_000:]) is not None  # its onset is loud
    assert LoudnessMeter(16_000, 1).integrated_lufs() is None
    assert loudness(stereo((-75, 3))) is None


@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("size", [0.0, 1.0, 3e38, 1e-45])
def test_extremes_do_not_raise(n, size):
    found = loudness(np.full((n, 3), size, np.float32), 16_000)
    assert found is None or np.isfinite(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 12_000), max_size=12), st.sampled_from([8_000, 11_025, 48_000]))
def test_cuts_do_not_matter(cuts, rate):
    block = np.random.default_rng(0).normal(0, 0.1, (24_000, 2)).astype(np.float32)
    block[::2] *= 0.1
    meter = LoudnessMeter(rate, 2)
    for piece in np.split(block, sorted(cuts)):
        meter.add(piece)
    assert meter.integrated_lufs() == pytest.approx(loudness(block, rate), abs=1e-9)


def test_louder_channels_add_up():
    one = tone(-20, 2)[:, None].astype(np.float32)
    assert loudness(np.repeat(one, 2, axis=1)) - loudness(one) == pytest.approx(3.01, abs=0.01)


def test_speed():
    """Slower than 500 times real time, something is wrong: 1,500 was measured on a shared core; silence likewise."""
    for block in (np.random.default_rng(0).normal(0, 0.1, (20 * 48_000, 2)).astype(np.float32), np.zeros((960_000, 2))):
        meter = LoudnessMeter(48_000, 2)
        meter.add(np.full((100, 2), 0.5, np.float32))
        started = time.process_time()
        meter.add(block)
        assert time.process_time() - started < 20 / 500


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="4000"):
        LoudnessMeter(2_000, 1)
    with pytest.raises(UsageError, match="channel"):
        LoudnessMeter(8_000, 0)
