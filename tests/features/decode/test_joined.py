"""Files that hold several recordings, one after the other: bytes of audio that no row accounts for do not exist."""

import struct
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.audio_files import FAST, KINDS, encoded, likeness, voice, written
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.rejects import Reason, Reject
from features.containers.content import map_file
from features.decode.config import AudioConfig
from features.decode.recording import Decoded, Window, decode, decode_windows

RATES = {"ogg/opus": (16_000, 48_000), "amr/amr_nb": (8_000,), "matroska/opus": (48_000,), "ac3": (32_000, 48_000)}
MONO = {"wav/gsm610", "amr/amr_nb"}
JOINED = [
    *("wav/pcm_16", "wav/pcm_24", "wav/ulaw", "wav/ms_adpcm", "rf64/pcm_16", "w64/pcm_16", "aiff/pcm_16", "au/pcm_16"),
    *("caf/pcm_16", "nist/pcm_16", "flac", "ogg/vorbis", "ogg/opus", "mp3", "mp4/aac", "mp4/alac", "aac", "amr/amr_nb"),
    *("matroska/opus", "matroska/flac", "asf/wmav2", "ac3", "mp2", "wavpack", "tta", "ogg/flac", "flv/mp3"),
]


@cache
def _file(codec: str, rate: int, n_channels: int, seconds: float) -> tuple[bytes, Decoded]:
    samples = voice(seconds, rate, n_channels)
    data = written(samples, codec, rate) if codec in FAST else encoded(samples, replace(KINDS[codec], rate=rate))
    found = decode(data)
    assert isinstance(found, Decoded)
    return data, found


@st.composite
def _joins(draw) -> list[tuple[bytes, Decoded]]:
    codec = draw(st.sampled_from(JOINED))
    rates = (44_100,) if "flv" in codec else RATES.get(codec, (16_000, 32_000, 44_100))
    channels = st.just(1) if codec in MONO else st.sampled_from([1, 2])
    part = st.tuples(st.sampled_from(rates), channels, st.sampled_from([0.5, 0.7]))
    return [_file(codec, *drawn) for drawn in draw(st.lists(part, min_size=2, max_size=4))]


@settings(max_examples=40)
@given(files=_joins())
def test_all_parts_are_read(files):
    whole = decode(b"".join(data for data, _ in files))
    assert isinstance(whole, Decoded), whole
    parts = [found for _, found in files]
    n_frames = [round(part.seconds * whole.measures.sample_rate_hz) for part in parts]
    is_split = not whole.measures.codec.startswith(("aac", "ac3", "mp2", "mp3"))  # else one decoder may read on
    assert whole.seconds == pytest.approx(sum(part.seconds for part in parts), abs=1e-3 if is_split else 0.11)
    assert whole.measures.n_channels == max(part.measures.n_channels for part in parts)
    assert whole.measures.sample_rate_hz == max(part.measures.sample_rate_hz for part in parts)
    assert whole.measures.flaw is None
    if is_split:
        at = 0
        for part, n in zip(parts, n_frames, strict=True):
            start = round(at / whole.measures.sample_rate_hz * 16_000)
            found = whole.waveform[start : start + len(part.waveform)]
            assert likeness(found, part.waveform, 16_000) == (pytest.approx(1, abs=0.02), pytest.approx(0, abs=1e-4))
            at += n


@pytest.mark.parametrize("codecs", [("wav/pcm_16", "flac"), ("mp3", "mp3")])
def test_windows_from_the_middle_are_those_of_the_whole(codecs, tmp_path):
    """A long recording is read by several workers, a stretch of time each, out of a mapped file."""
    first, second = written(voice(33.0), codecs[0]), written(voice(5.0, 24_000, 2), codecs[1], 24_000)
    path, config = tmp_path / "joined", AudioConfig(channels="each")
    path.write_bytes(first + second)
    whole = list(decode_windows(first + second, config=config))
    assert [item.start for item in whole[:-1]] == [0, 0, 512_000, 512_000]
    with map_file(path) as content:
        later = list(decode_windows(content, config=config, only=(1, 2)))
    assert [(item.channel, item.start) for item in later] == [(0, 512_000), (1, 512_000)]
    for found, item in zip(later, whole[2:-1], strict=True):
        assert isinstance(found, Window)
        assert np.array_equal(found.samples, item.samples)


def test_of_parts_at_two_rates_the_better_is_kept():
    """A telephone call that becomes wideband loses nothing above 4 kHz."""
    narrow, wide = written(voice(1.0, 8000), "wav/pcm_16", 8000), written(voice(1.0), "wav/pcm_16")
    joined = decode(narrow + wide, config=AudioConfig(dc="none"))
    assert isinstance(joined, Decoded)
    assert joined.measures.sample_rate_hz == 16_000
    assert joined.waveform[16_000:] == pytest.approx(voice(1.0)[:, 0], abs=1e-3)


def test_each_channel_of_parts_with_fewer():
    """Each channel has the mix of a part that has fewer: a call that was recorded in mono first."""
    mono, stereo = voice(1.0)[:, :1], voice(1.0, n_channels=2)
    joined = decode(
        written(mono, "wav/float") + written(stereo, "wav/float"), config=AudioConfig(channels="each", dc="none")
    )
    assert isinstance(joined, Decoded)
    for channel in (0, 1):
        assert joined.waveforms[channel] == pytest.approx(np.concatenate([mono[:, 0], stereo[:, channel]]), abs=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_part_that_is_cut(n):
    parts = [written(voice(1.0), "flac")] * 3
    parts[n] = parts[n][:-4000]
    found = decode(b"".join(parts), config=AudioConfig(truncated_share=1.0))
    assert isinstance(found, Reject)
    assert found.reason == Reason.TRUNCATED
    assert f"part {n + 1} of 3" in found.error
    kept = decode(b"".join(parts))
    assert isinstance(kept, Decoded)
    assert 2.5 < kept.seconds < 3
    assert kept.seconds + kept.measures.truncated_s == pytest.approx(3.0)
    assert f"part {n + 1} of 3" in kept.measures.flaw


@pytest.mark.parametrize("n", [0, 1])
def test_a_part_that_does_not_decode_is_named(n):
    """Its reading would be half a recording in silence."""
    odd = bytearray(written(voice(1.0), "wav/pcm_16"))
    odd[20:22] = b"\x77\x77"  # no codec has this number
    parts = [written(voice(1.0), "wav/pcm_16")] * 2
    parts[n] = bytes(odd)
    found = decode(b"".join(parts))
    assert isinstance(found, Decoded)
    assert found.seconds == 1
    assert found.measures.flaw.startswith(f"part {n + 1} of 2, 32044 bytes from byte {n * 32_044} on, was not read")
    nothing = decode(2 * bytes(odd))
    assert isinstance(nothing, Reject)
    assert nothing.reason == Reason.UNSUPPORTED


def test_of_very_many_parts_the_rest_is_told(monkeypatch):
    for module in ("features.containers.parts", "features.decode.joined"):
        monkeypatch.setattr(f"{module}.MAX_PARTS", 3)
    data = written(voice(0.5), "wav/pcm_16")
    all_read, too_many = decode(3 * data), decode(5 * data)
    assert isinstance(all_read, Decoded)
    assert isinstance(too_many, Decoded)
    assert (all_read.seconds, all_read.measures.flaw, too_many.seconds) == (1.5, None, 1.5)
    assert too_many.measures.flaw == "from byte 48132 on, 32088 bytes were not read: expected 3 parts or fewer"


def test_a_part_that_is_a_header_alone_adds_nothing():
    """A recorder that starts and stops."""
    whole = written(voice(1.0), "wav/pcm_16")
    found = decode(b"#!AMR\n" + encoded(voice(1.0, 8000), KINDS["amr/amr_nb"]))
    assert isinstance(found, Decoded)
    assert (found.seconds, found.measures.flaw) == (pytest.approx(1.02), None)
    found = decode(whole + written(voice(1.0)[:0], "wav/pcm_16") + whole)
    assert isinstance(found, Decoded)
    assert (found.seconds, found.measures.flaw) == (2, None)


@pytest.mark.parametrize("second", ["wav/pcm_16", "mp3"])
def test_what_is_not_read_behind_the_first_part_is_told(second):
    """Samples in two chunks of one wav, or a stream of frames behind a wav: no header of a file's own begins them."""
    first = written(voice(1.0), "wav/pcm_16")
    more = written(voice(1.0), second)
    more = more[36:] if second == "wav/pcm_16" else more
    form = struct.pack("<I", len(first) - 8 + (len(more) if second == "wav/pcm_16" else 0))
    found = decode(first[:4] + form + first[8:] + more)
    assert isinstance(found, Decoded)
    assert found.seconds == 1
    assert found.measures.flaw == f"{len(more)} bytes behind the end of the audio are not read"


STATED = [
    codec for codec in FAST if codec.partition("/")[0] in {"wav", "rf64", "w64", "aiff", "au", "caf", "nist", "voc"}
]


@pytest.mark.parametrize("codec", [*STATED, "au/adpcm_g722"])
def test_bytes_behind_the_stated_samples_are_no_speech(codec):
    """Other systems put checksums, indices or the remains of a disk's block there: read, it was noise at full scale."""
    data = written(voice(1.0), codec) if codec in FAST else encoded(voice(1.0), KINDS[codec])
    alone, behind = decode(data), decode(data + np.random.default_rng(0).bytes(30_001))
    assert isinstance(alone, Decoded)
    assert isinstance(behind, Decoded), behind
    assert np.array_equal(behind.waveform, alone.waveform)
