"""Windows of a recording do not depend on how it is read: whole, in pieces, or from the middle."""

import io

import numpy as np
import pytest
import soundfile as sf
import soxr
from helpers.sound import noise_array
from hypothesis import given, settings
from hypothesis import strategies as st

from features.decode.config import AudioConfig
from features.decode.recording import Window, decode_windows
from features.decode.rumble import REACH_S, remove_rumble
from features.decode.windows import CONTEXT_S, WINDOW_S, Windower, concatenate, first_frame


def _noise(seconds: float, rate_hz: int) -> np.ndarray:
    return noise_array(round(seconds * rate_hz)).astype(np.float32)


def _windows(
    samples: np.ndarray, rate_hz: int, config: AudioConfig, *, blocks: list[int], first: int = 0
) -> list[Window]:
    windower = Windower(0, rate_hz, config, first=first)
    found, at = [], first_frame(first, rate_hz)
    for size in blocks:
        found += windower.push(samples[at : at + size])
        at += size
    return [*found, *windower.push(samples[at:]), *windower.finish()]


@settings(max_examples=20)
@given(
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050]),
    seconds=st.sampled_from([0.3, 32.0, 33.0, 70.7]),
    blocks=st.lists(st.integers(1, 200_000), max_size=6),
)
def test_blocks_change_nothing(rate_hz, seconds, blocks):
    samples = _noise(seconds, rate_hz)
    whole = concatenate(_windows(samples, rate_hz, AudioConfig(), blocks=[]))
    cut = _windows(samples, rate_hz, AudioConfig(), blocks=blocks)
    assert np.array_equal(concatenate(cut), whole)
    assert len(whole) == pytest.approx(len(samples) * 16_000 / rate_hz, abs=1)
    assert [window.start for window in cut] == [n * WINDOW_S * 16_000 for n in range(len(cut))]


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
@pytest.mark.parametrize(
    "config", [AudioConfig(), AudioConfig(dc="none", denoise="wiener"), AudioConfig(resampler="MQ")], ids=str
)
def test_a_window_from_the_middle_is_the_same(rate_hz, config):
    samples = _noise(100.0, rate_hz)
    whole = _windows(samples, rate_hz, config, blocks=[])
    later = _windows(samples, rate_hz, config, blocks=[12_345], first=2)
    assert [window.start for window in later] == [window.start for window in whole[2:]]
    for one, other in zip(later, whole[2:], strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_a_seam_between_windows_is_not_heard():
    """Prepared window by window, as if it had been prepared whole: to the noise of 16 bits."""
    samples = _noise(70.0, 44_100)
    found = concatenate(_windows(samples, 44_100, AudioConfig(), blocks=[]))
    whole = soxr.resample(remove_rumble(samples, 44_100), 44_100, 16_000)
    assert np.abs(found - whole[: len(found)]).max() < 2**-14
    assert CONTEXT_S > REACH_S + 4_000 / 16_000  # the resampler's memory


def _wav(samples: np.ndarray, rate_hz: int, **kind: str) -> bytes:
    sink = io.BytesIO()
    sf.write(sink, samples, rate_hz, **({"format": "WAV", "subtype": "PCM_16"} | kind))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "rate_hz"),
    [
        ({}, 16_000),
        ({"subtype": "ALAW"}, 8_000),
        ({"format": "FLAC"}, 44_100),
        ({"format": "MP3", "subtype": "MPEG_LAYER_III"}, 44_100),
        ({"format": "OGG", "subtype": "OPUS"}, 48_000),
        ({"subtype": "MS_ADPCM"}, 16_000),
    ],
)
def test_windows_of_a_range_are_those_of_the_whole(kind, rate_hz):
    """Decoders that seek to a sample (flac, pcm), and those that decode all before it (mp3, opus)."""
    data, config = _wav(np.stack([_noise(70.0, rate_hz)] * 2, axis=1), rate_hz, **kind), AudioConfig(channels="each")
    whole = {
        (item.channel, item.start): item.samples
        for item in decode_windows(data, config=config)
        if isinstance(item, Window)
    }
    part = list(decode_windows(data, config=config, only=(1, 2)))
    assert [(item.channel, item.start) for item in part] == [(0, 512_000), (1, 512_000)]
    for item in part:
        assert np.array_equal(item.samples, whole[item.channel, item.start])


@pytest.mark.parametrize("share", [0.77, 0.83, 0.9])
def test_the_last_window_of_a_cut_file_is_the_same_from_the_middle(share):
    data, config = _wav(_noise(200.0, 16_000), 16_000, format="FLAC"), AudioConfig(keep_truncated=True)
    data = data[: round(share * len(data))]
    whole = [item for item in decode_windows(data, config=config) if isinstance(item, Window)]
    (last,) = decode_windows(data, config=config, only=(len(whole) - 1, len(whole)))
    assert isinstance(last, Window)
    assert np.array_equal(last.samples, whole[-1].samples)
