"""Completeness of every container: files that are cut or damaged."""

import struct

import numpy as np
import pytest
from helpers.audio_files import FAST, KINDS, dsf, encoded, read, verdict, voice, written

from data_contracts.rejects import Reason
from features.containers import completeness, ogg_pages

RATE = 16_000
CUTS = ("one byte", "ten bytes", "half", "all but 200")


def fading(seconds=3.0):
    n = round(seconds * RATE)
    return (0.3 * np.random.default_rng(0).standard_normal((n, 1)) * np.linspace(1, 0, n)[:, None] ** 3).astype("f4")


def cut(data, how):
    return data[: {"one byte": -1, "ten bytes": -10, "half": len(data) // 2 - 1, "all but 200": 200}[how]]


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("codec", FAST)
def test_a_cut_file_is_truncated(codec, how):
    data = written(fading(), codec)
    found = verdict(cut(data, how))
    if codec == "caf/alac_16" and how == "one byte":
        assert found is None  # a byte of padding
    elif codec == "voc/pcm_u8":
        assert found in {None, Reason.TRUNCATED, Reason.CORRUPT}
    else:
        assert found == Reason.TRUNCATED


AT_ANY_PLACE = [codec for codec in KINDS if not codec.startswith(("mpeg", "mp2", "loas"))]
TAGGED = {"wavpack", "tta"}  # FFmpeg puts a tag behind them, which the sound can do without


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("codec", AT_ANY_PLACE)
def test_a_cut_file_of_an_ffmpeg_format_is_truncated(codec, how):
    data = encoded(voice(3.0, KINDS[codec].rate, KINDS[codec].n_channels), KINDS[codec])
    found = verdict(cut(data, how))
    if codec in TAGGED and how in {"one byte", "ten bytes"}:
        assert found is None
    else:
        assert found == Reason.TRUNCATED


@pytest.mark.parametrize("codec", ["aac", "loas/aac_latm", "ac3", "eac3", "mp2", "amr/amr_nb"])
def test_a_stream_of_frames_that_ends_between_two_is_shorter(codec):
    """Nothing in it says that there was more; only a frame that is cut is noticed."""
    data = encoded(voice(3.0, KINDS[codec].rate), KINDS[codec])
    found = [verdict(data[: len(data) // 2 + n]) for n in range(60)]
    assert set(found) <= {None, Reason.TRUNCATED}
    assert found.count(Reason.TRUNCATED) >= 50


def test_a_transport_stream_with_part_of_a_packet_is_truncated():
    data = encoded(voice(1.0, 48_000), KINDS["mpegts/aac"])
    assert verdict(data[:-1]) == verdict(data[: len(data) // 376 * 188 + 100]) == Reason.TRUNCATED


def test_a_film_that_was_never_finished_is_truncated():
    """A recorder that loses its power has written the samples, and not where they are."""
    data = encoded(voice(1.0), KINDS["mp4/aac"])
    at = data.index(b"moov") - 4
    assert completeness.measure(data[:at], "mp4").missing.startswith("expected a moov box")
    unfinished = bytearray(data[:at])
    struct.pack_into(">I", unfinished, data.index(b"mdat") - 4, 0)  # to the end of the file, for the time being
    assert verdict(data[:at]) == verdict(bytes(unfinished)) == Reason.TRUNCATED


@pytest.mark.parametrize("options", [{"movflags": "frag_keyframe+empty_moov"}, {"moov_size": "2000"}])
def test_fragments_and_the_index_first(options):
    data = encoded(voice(2.0), KINDS["mp4/aac"], muxer_options=options)
    assert verdict(data) is None
    assert len(read(data)[1]) == pytest.approx(2 * RATE, abs=2048)
    assert verdict(data[: 3 * len(data) // 4]) == Reason.TRUNCATED


def test_a_live_recording_of_unknown_size_is_whole_at_the_end_of_a_block():
    """As a browser's MediaRecorder writes: segment and clusters of unknown size."""
    live = encoded(voice(3.0, 48_000), KINDS["matroska/opus"], muxer_options={"live": "1"})
    assert b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" in live
    assert verdict(live) is None
    assert verdict(live[:-5]) == verdict(live[: len(live) // 2]) == Reason.TRUNCATED


@pytest.mark.parametrize("codec", ["wavpack", "mp4/aac", "flv/aac"])
def test_a_tag_or_zeros_behind_the_end_are_nothing_missing(codec):
    data = encoded(voice(1.0, KINDS[codec].rate), KINDS[codec])
    for tail in (b"TAG" + bytes(125), bytes(3)):
        assert completeness.measure(data + tail, codec.partition("/")[0]).missing is None


def test_the_end_between_two_flac_frames_is_noticed():
    data = written(fading(), "flac")
    assert verdict(data[: data.rfind(b"\xff\xf8")]) == Reason.TRUNCATED


@pytest.mark.parametrize("codec", ["ogg/vorbis", "ogg/opus", "ogg/flac"])
def test_an_ogg_file_of_whole_pages_is_whole(codec):
    """Live recorders mark no last page; libsndfile refused Opus without one."""
    data = written(fading(), codec) if codec in FAST else encoded(voice(3.0), KINDS[codec])
    last = data.rfind(b"OggS")
    unmarked = bytearray(data)
    unmarked[last + 5] &= ~4
    unmarked[last + 22 : last + 26] = ogg_pages.checksum(bytes(unmarked[last:])).to_bytes(4, "little")
    assert verdict(bytes(unmarked)) is None
    assert np.array_equal(read(bytes(unmarked))[1], read(data)[1])
    assert verdict(data[:last]) is None
    assert {verdict(data[:last] + data[last : last + n]) for n in (1, 3, 4, 26, 27, 28)} == {Reason.TRUNCATED}


def test_sizes_that_a_pipe_could_not_know_are_no_truncation():
    wav = bytearray(written(fading(), "wav/pcm_16"))
    wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"
    assert verdict(bytes(wav)) is None
    au = bytearray(written(fading(), "au/pcm_16"))
    au[8:12] = b"\xff\xff\xff\xff"
    assert verdict(bytes(au)) is None


def test_a_riff_size_that_counts_its_own_header_is_no_truncation():
    wav = bytearray(written(fading(), "wav/pcm_16"))
    wav[4:8] = struct.pack("<I", len(wav))
    assert verdict(bytes(wav)) is None
    wav[4:8] = struct.pack("<I", len(wav) + 1000)  # of what stood behind the samples
    assert verdict(bytes(wav)) is None


def test_dsd_and_monkeys_audio_say_how_long_they_are():
    data = dsf(voice(0.05, 44_100)[:, 0])
    assert completeness.measure(data, "dsf").missing is None
    assert (
        completeness.measure(data[:-1], "dsf").missing
        == f"the header promises {len(data)} bytes, found {len(data) - 1}"
    )
    ape = b"MAC " + struct.pack("<HH7I", 3990, 0, 52, 24, 40, 44, 1000, 0, 8) + bytes(16)
    assert completeness.measure(ape.ljust(52 + 24 + 40 + 44 + 1000 + 8), "ape").missing is None
    assert completeness.measure(ape.ljust(52 + 24 + 40 + 44 + 1000 + 7), "ape").missing


def test_musepack_ends_with_a_packet_that_says_so():
    packets = b"MPCK" + b"SH\x0a" + bytes(7) + b"AP\x85\x08" + bytes(5 * 128 + 8 - 4)
    assert completeness.measure(packets + b"SE\x03", "musepack").missing is None
    assert completeness.measure(packets, "musepack").missing
    assert completeness.measure(packets[:-1], "musepack").missing


def test_half_a_header_is_truncated():
    for codec in ("wav/pcm_16", "aiff/pcm_16", "au/pcm_16", "rf64/pcm_16", "w64/pcm_16"):
        data = written(fading(0.5), codec)
        assert {verdict(data[:n]) for n in (14, 20, 26)} <= {Reason.TRUNCATED, Reason.CORRUPT}
