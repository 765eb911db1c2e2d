"""Decoding: every file either becomes 16 kHz mono or is refused for the right reason; no bytes make it raise."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.reasons import Reason
from features.audio import AudioConfig, Decoded, Reject, decode

RATE = 16_000
FORMATS = {
    "wav/pcm_16": ("WAV", "PCM_16"),
    "wav/pcm_24": ("WAVEX", "PCM_24"),
    "wav/float": ("WAV", "FLOAT"),
    "wav/alaw": ("WAV", "ALAW"),
    "wav/ms_adpcm": ("WAV", "MS_ADPCM"),
    "rf64/pcm_16": ("RF64", "PCM_16"),
    "w64/pcm_16": ("W64", "PCM_16"),
    "aiff/pcm_16": ("AIFF", "PCM_16"),
    "au/pcm_16": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg/vorbis": ("OGG", "VORBIS"),
    "ogg/opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def tone(seconds=1.0, rate=RATE, hz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples, codec="wav/pcm_16", rate=RATE, **options):
    sink = io.BytesIO()
    container, subtype = FORMATS[codec]
    sf.write(sink, samples, rate, format=container, subtype=subtype, **options)
    return sink.getvalue()


def hiss(seconds=1.0, rate=RATE):
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


def reason_of(data, **config):
    result = decode(data, config=AudioConfig(**config))
    assert isinstance(result, Reject), result
    assert result.error
    assert "\n" not in result.error
    return result.reason


@pytest.mark.parametrize("codec", FORMATS)
def test_every_format_is_read(codec):
    found = decode(encoded(tone(), codec))
    assert isinstance(found, Decoded)
    assert (found.codec, found.sample_rate_hz, found.n_channels) == (codec, RATE, 1)
    assert found.waveform.dtype == np.float32
    assert found.seconds == pytest.approx(1.0, abs=0.07)  # adpcm fills its last block
    assert len(found.waveform) == round(found.seconds * RATE)
    assert found.level_db == pytest.approx(-9.0, abs=0.5)


@pytest.mark.parametrize(("rate", "n_channels"), [(8000, 1), (22_050, 2), (44_100, 1), (48_000, 3), (96_000, 1)])
def test_shape(rate, n_channels):
    found = decode(encoded(np.repeat(tone(1.5, rate)[:, None], n_channels, axis=1), rate=rate))
    assert found.waveform.shape == (24_000,)
    assert (found.sample_rate_hz, found.n_channels, found.seconds) == (rate, n_channels, 1.5)
    middle = slice(1600, -1600)
    assert found.waveform[middle] == pytest.approx(tone(1.5)[middle], abs=1e-3)


def test_channels_are_averaged_and_measured_before():
    found = decode(encoded(np.stack([tone(peak=0.9), np.zeros(RATE, np.float32)], axis=1)))
    assert found.waveform == pytest.approx(tone(peak=0.45), abs=1e-4)
    assert found.peak_db == pytest.approx(20 * np.log10(0.9), abs=0.01)
    assert found.level_db == pytest.approx(20 * np.log10(0.45 / np.sqrt(2)), abs=0.01)


def test_clipping_is_a_share_of_all_samples():
    found = decode(encoded(np.clip(tone(peak=2.0), -1, 1)))
    assert found.clipped_share == pytest.approx(2 * np.arccos(0.99 / 2) / np.pi, abs=0.01)
    assert decode(encoded(tone(peak=0.9))).clipped_share == 0


@pytest.mark.parametrize("codec", ["flac", "ogg/vorbis", "ogg/opus", "mp3"])
def test_blocks_leave_no_seams(codec, monkeypatch):
    """soundfile seeks after every block; mp3 then lost its bit reservoir at each seam."""
    data = encoded(hiss(2.0), codec)
    whole = decode(data)
    monkeypatch.setattr("features.audio._BLOCK_SAMPLES", 1000)
    assert np.array_equal(decode(data).waveform, whole.waveform)


def test_many_channels_end_quickly():
    wav = bytearray(encoded(tone()))
    wav[22:24] = struct.pack("<H", 10_000)
    assert reason_of(bytes(wav)) == Reason.UNSUPPORTED
    found = decode(encoded(np.tile(tone(0.2)[:, None], 1000)))
    assert found.waveform == pytest.approx(tone(0.2), abs=1e-4)


@pytest.mark.parametrize("rate", [1, 500, 1_000_000])
def test_a_rate_that_is_no_audio_rate_is_unsupported(rate):
    wav = bytearray(encoded(tone()))
    wav[24:28] = struct.pack("<I", rate)
    assert reason_of(bytes(wav)) == Reason.UNSUPPORTED


def test_nothing_in_it():
    assert reason_of(b"") == Reason.EMPTY
    assert reason_of(encoded(np.empty(0, np.float32))) == Reason.EMPTY


@pytest.mark.parametrize(
    "data", [b"x", b"Dear Sir or Madam", bytes(5000), b"\x89PNG\r\n\x1a\n" + bytes(99), b"%PDF-1.7"]
)
def test_other_files_are_not_audio(data):
    assert reason_of(data) == Reason.NOT_AUDIO


def test_known_audio_that_we_do_not_read_is_unsupported():
    found = decode(b"\0\0\0\x20ftypM4A " + bytes(5000))
    assert (found.reason, found.codec) == (Reason.UNSUPPORTED, "mp4")


def test_a_hole_is_corrupt():
    for codec in ("flac", "ogg/vorbis"):
        data = bytearray(encoded(hiss(3.0), codec))
        data[len(data) // 2 : len(data) // 2 + 60] = b"\x55" * 60
        assert reason_of(bytes(data)) == Reason.CORRUPT


def test_what_cannot_be_used():
    broken = tone()
    broken[5000] = np.nan
    assert reason_of(encoded(broken, "wav/float")) == Reason.NON_FINITE
    broken[5000] = -np.inf
    assert reason_of(encoded(broken, "wav/float")) == Reason.NON_FINITE
    assert reason_of(encoded(32_768 * tone(), "wav/float")) == Reason.UNSUPPORTED  # integers, written as floats
    assert reason_of(encoded(tone(0.09))) == Reason.TOO_SHORT
    assert reason_of(encoded(tone(2.0)), max_s=1.9) == Reason.TOO_LONG
    assert reason_of(encoded(tone(2.0), "ogg/opus"), max_s=1.9) == Reason.TOO_LONG


def test_silence_and_constant():
    assert reason_of(encoded(np.zeros(RATE, np.float32))) == Reason.SILENT
    assert reason_of(encoded(tone(peak=3e-5))) == Reason.SILENT  # one step of 16 bits
    assert reason_of(encoded(np.stack([tone(), -tone()], axis=1))) == Reason.SILENT  # the mix is what counts
    assert decode(encoded(np.full(RATE, 0.25, np.float32))).level_db == pytest.approx(-12.04, abs=0.01)


def test_a_refusal_says_what_was_learnt():
    found = decode(encoded(tone(0.05, 44_100), rate=44_100))
    assert (found.codec, found.sample_rate_hz, found.n_channels) == ("wav/pcm_16", 44_100, 1)
    assert found.seconds == pytest.approx(0.05)


def test_flac_without_its_length_is_stopped_at_the_limit():
    """Written to a pipe, its length is unknown; a few bytes of it may hold hours of silence."""
    data = bytearray(encoded(tone(2.0), "flac"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert decode(bytes(data)).seconds == 2.0
    assert reason_of(bytes(data), max_s=1.0) == Reason.TOO_LONG


def test_fingerprint_follows_the_configuration():
    assert AudioConfig().fingerprint() == AudioConfig().fingerprint() != AudioConfig(min_s=0.2).fingerprint()


SEEDS = [encoded(hiss(0.15), codec) for codec in FORMATS]


@settings(max_examples=150, deadline=None)
@given(
    data=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=6),
    cut=st.integers(0, 6000),
)
def test_no_bytes_make_it_raise(data, changes, cut):
    mutated = bytearray(data)
    for at, patch in changes:
        mutated[at : at + len(patch)] = patch
    found = decode(bytes(mutated[: max(0, len(mutated) - cut)]))
    assert isinstance(found, Reject) or np.isfinite(found.waveform).all()
