"""Decoding: every file becomes 16 kHz windows or a reject with the right reason; no bytes make it raise."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from data_contracts.rejects import Reason, Reject
from features.decode.config import AudioConfig
from features.decode.recording import Decoded, decode

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
    assert (found.measures.codec, found.measures.sample_rate_hz, found.measures.n_channels) == (codec, RATE, 1)
    assert found.waveform.dtype == np.float32
    assert found.seconds == pytest.approx(1.0, abs=0.07)  # adpcm fills its last block
    assert len(found.waveform) == round(found.seconds * RATE)
    assert found.measures.level_db == pytest.approx(-9.0, abs=0.5)


@pytest.mark.parametrize(("rate", "n_channels"), [(8000, 1), (22_050, 2), (44_100, 1), (48_000, 3), (96_000, 1)])
def test_shape(rate, n_channels):
    found = decode(encoded(np.repeat(tone(1.5, rate)[:, None], n_channels, axis=1), rate=rate))
    assert found.waveform.shape == (24_000,)
    assert (found.measures.sample_rate_hz, found.measures.n_channels, found.seconds) == (rate, n_channels, 1.5)
    middle = slice(1600, -1600)
    assert found.waveform[middle] == pytest.approx(tone(1.5)[middle], abs=1e-3)


def test_channels_are_averaged_and_measured_before():
    both = np.stack([tone(peak=0.9), tone(peak=0.3)], axis=1)
    found = decode(encoded(both), config=AudioConfig(dc="none"))
    assert found.waveform == pytest.approx(tone(peak=0.6), abs=1e-4)
    assert found.measures.peak_db == pytest.approx(20 * np.log10(0.9), abs=0.01)
    assert found.measures.level_db == pytest.approx(20 * np.log10(0.6 / np.sqrt(2)), abs=0.01)


def test_clipping_is_a_share_of_all_samples():
    found = decode(encoded(np.clip(tone(peak=2.0), -1, 1)))
    assert found.measures.clipped_share == pytest.approx(2 * np.arccos(0.99 / 2) / np.pi, abs=0.01)
    assert decode(encoded(tone(peak=0.9))).measures.clipped_share == 0


@pytest.mark.parametrize("codec", ["flac", "ogg/vorbis", "ogg/opus", "mp3"])
def test_blocks_leave_no_seams(codec, monkeypatch):
    """soundfile seeks after every block; mp3 then lost its bit reservoir at each seam."""
    data = encoded(hiss(2.0), codec)
    whole = decode(data)
    monkeypatch.setattr("features.decode.sndfile.BLOCK_SAMPLES", 1000)
    assert np.array_equal(decode(data).waveform, whole.waveform)


def test_many_channels_end_quickly():
    wav = bytearray(encoded(tone()))
    wav[22:24] = struct.pack("<H", 10_000)
    assert reason_of(bytes(wav)) == Reason.UNSUPPORTED
    found = decode(encoded(np.tile(tone(0.2)[:, None], 1000)), config=AudioConfig(dc="none"))
    assert found.waveform == pytest.approx(tone(0.2), abs=1e-4)


@pytest.mark.parametrize("rate", [1, 500, 1_000_000])
def test_a_rate_that_is_no_audio_rate_is_unsupported(rate):
    wav = bytearray(encoded(tone()))
    wav[24:28] = struct.pack("<I", rate)
    assert reason_of(bytes(wav)) == Reason.UNSUPPORTED


def test_an_empty_file():
    assert reason_of(b"") == Reason.EMPTY
    assert reason_of(encoded(np.empty(0, np.float32))) == Reason.EMPTY


@pytest.mark.parametrize(
    "data", [b"x", b"Dear Sir or Madam", bytes(5000), b"\x89PNG\r\n\x1a\n" + bytes(99), b"%PDF-1.7"]
)
def test_other_files_are_not_audio(data):
    assert reason_of(data) == Reason.NOT_AUDIO


def test_known_audio_that_we_do_not_read_is_unsupported():
    found = decode(b"MThd" + bytes(5000))
    assert (found.reason, found.codec) == (Reason.UNSUPPORTED, "midi")


def test_a_hole_is_corrupt():
    for codec in ("flac", "ogg/vorbis"):
        data = bytearray(encoded(hiss(3.0), codec))
        data[len(data) // 2 : len(data) // 2 + 60] = b"\x55" * 60
        assert reason_of(bytes(data)) == Reason.CORRUPT


def test_unusable_files_have_a_reason():
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
    assert decode(encoded(np.full(RATE, 0.25, np.float32))).measures.level_db == pytest.approx(-12.04, abs=0.01)


def test_a_reject_has_the_properties_read_before():
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


def test_a_small_file_that_says_it_lasts_forever_is_not_decoded(monkeypatch):
    """FLAC's header counts up to 2**36 samples: seven weeks, of 44 kB."""
    data = bytearray(encoded(tone(2.0), "flac"))
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    monkeypatch.setattr(
        "features.decode.sndfile.SndfileStream.blocks", lambda _: pytest.fail("nothing needs to be decoded")
    )
    assert reason_of(bytes(data)) == Reason.TOO_LONG


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


def stereo(left, right, codec="wav/pcm_16"):
    return encoded(np.stack([left, right], axis=1), codec)


def test_each_channel_is_analysed_for_itself():
    found = decode(stereo(tone(hz=300), tone(hz=900, peak=0.2)), config=AudioConfig(channels="each", dc="none"))
    assert found.measures.channels == (0, 1)
    assert found.waveforms[0] == pytest.approx(tone(hz=300), abs=1e-4)
    assert found.waveforms[1] == pytest.approx(tone(hz=900, peak=0.2), abs=1e-4)
    assert found.measures.level_db == pytest.approx(10 * np.log10((0.5**2 / 2 + 0.2**2 / 2) / 2), abs=0.01)


def test_mono_in_two_channels_is_analysed_once():
    found = decode(stereo(tone(), tone(), "mp3"), config=AudioConfig(channels="each"))
    assert (found.measures.n_channels, found.measures.channels, list(found.waveforms)) == (2, (0,), [0])


@pytest.mark.parametrize(("wanted", "hz"), [("left", 300), ("right", 900), ("1", 900)])
def test_one_channel_is_chosen(wanted, hz):
    found = decode(stereo(tone(hz=300), tone(hz=900)), config=AudioConfig(channels=wanted, dc="none"))
    assert found.waveform == pytest.approx(tone(hz=hz), abs=1e-4)
    assert found.measures.channels == ({300: 0, 900: 1}[hz],)


def test_a_channel_that_is_not_there_is_unsupported():
    assert reason_of(encoded(tone()), channels="right") == Reason.UNSUPPORTED
    assert reason_of(encoded(np.tile(tone(0.2)[:, None], 33)), channels="each") == Reason.UNSUPPORTED


def test_more_than_a_decoder_may_hold_is_unsupported():
    """Each channel is held for half a minute: 8 of 192 kHz went beyond its memory and were called corrupt."""
    many = np.tile(hiss(1.0)[:, None], 8)
    assert reason_of(encoded(many, rate=192_000), channels="each") == Reason.UNSUPPORTED
    assert isinstance(decode(encoded(many, rate=48_000), config=AudioConfig(channels="each")), Decoded)


def test_a_silent_channel_beside_one_that_speaks_is_kept():
    found = decode(stereo(tone(), np.zeros(RATE, np.float32)), config=AudioConfig(channels="each"))
    assert found.measures.channels == (0, 1)
    assert reason_of(stereo(tone(), np.zeros(RATE, np.float32)), channels="right") == Reason.SILENT


def test_an_offset_is_taken_away_and_measured_all_the_same():
    data = encoded(tone(2.0) * 0.5 + 0.3)
    found, as_it_is = decode(data), decode(data, config=AudioConfig(dc="none"))
    assert abs(found.waveform.mean()) < 1e-4
    assert as_it_is.waveform.mean() == pytest.approx(0.3, abs=0.01)
    assert found.measures == as_it_is.measures, "of the file"


@pytest.mark.parametrize("wrong", [{"channels": "both"}, {"level_lufs": 3.0}, {"level_lufs": -90.0}])
def test_an_impossible_preparation_is_refused(wrong):
    with pytest.raises(UsageError, match="expected"):
        AudioConfig(**wrong)


def test_every_strategy_is_part_of_the_fingerprint():
    chosen = [{}, {"channels": "each"}, {"dc": "none"}, {"resampler": "VHQ"}, {"denoise": "wiener"}]
    chosen += [{"level_lufs": -23.0}, {"keep_truncated": True}, {"truncated_share": 0.9}]
    assert len({AudioConfig(**strategy).fingerprint() for strategy in chosen}) == len(chosen)
