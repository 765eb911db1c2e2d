"""Split of a file that holds several recordings, by the headers alone."""

import struct
from functools import cache

import pytest
from helpers.audio_files import FAST, KINDS, encoded, tiny, voice, written

from features.containers import headers, sniff
from features.containers.parts import split

READ_ON = {"aac", "loas/aac_latm", "ac3", "eac3", "mp2", "mpegts/aac", "mpegts/mp3", "mpeg/mp2"}
"""What FFmpeg reads to the end, without a header between the parts."""


@cache
def _tiny():
    return tiny()


def _split(data: bytes) -> list[bytes]:
    return [part[:] for part in split(data, sniff.sniff(data))]


@pytest.mark.parametrize("codec", [*FAST, *KINDS, "dsf"])
def test_each_part_is_a_file(codec):
    data = _tiny()[codec]
    (whole,) = split(data, sniff.sniff(data))
    assert whole is data
    assert _split(3 * data) == ([3 * data] if codec in READ_ON else [data] * 3)


@pytest.mark.parametrize("order", [("wav/pcm_16", "caf/pcm_16", "flac"), ("flac", "wav/pcm_16", "flac", "ogg/opus")])
def test_parts_of_several_formats(order):
    parts = [_tiny()[codec] for codec in order]
    assert _split(b"".join(parts)) == parts


@pytest.mark.parametrize("codec", ["wav/pcm_16", "mp4/aac", "flac", "mp3", "ogg/opus", "amr/amr_nb"])
@pytest.mark.parametrize("between", [bytes(3000), b"TAG" + bytes(125), b"ID3\3\0\0\0\0\x0f\x50" + bytes(2000)])
def test_what_lies_between_belongs_to_the_part_before(codec, between):
    data = _tiny()[codec]
    assert _split(data + between + data) == [data + between, data]


@pytest.mark.parametrize("codec", ["wav/pcm_16", "flac", "mp3", "ogg/vorbis", "mp4/aac", "matroska/opus"])
def test_a_tail_is_no_part(codec):
    data = _tiny()[codec]
    assert len(_split(data + b"\xff\xfb\x90\0RIFF OggS fLaC ID3 ftyp" * 300)) == 1


def test_a_tag_before_the_first_part():
    data = b"ID3\3\0\0\0\0\x0f\x50" + bytes(2000) + _tiny()["flac"]
    assert _split(data + data) == [data + data[:2010], _tiny()["flac"]]


def test_a_wav_without_a_size_is_searched():
    streamed = bytearray(_tiny()["wav/pcm_16"])
    streamed[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert _split(2 * bytes(streamed)) == [bytes(streamed)] * 2


def test_only_what_lies_behind_the_stated_size_is_searched():
    """A recording of a day is not read twice; and a wav that holds the bytes of another is one recording."""
    inner = _tiny()["wav/pcm_16"]
    samples = 44 * b"\0" + inner + bytes(len(inner) % 2)
    outer = inner[:40] + struct.pack("<I", len(samples)) + samples
    assert _split(outer) == [outer]
    assert _split(outer + inner) == [outer, inner]


@pytest.mark.parametrize(
    "codec", ["wav/pcm_16", "au/ulaw", "aiff/pcm_16", "mp4/alac", "matroska/pcm_f32le", "nist/pcm_16"]
)
@pytest.mark.parametrize("n_lost", [1, 200, 500])
def test_a_part_that_is_cut_ends_where_the_next_begins(codec, n_lost):
    """A recorder that died, and was started again: the size in its header reaches into the next recording."""
    data = _tiny()[codec]
    assert _split(data[:-n_lost] + data + data) == [data[:-n_lost], data, data]


@pytest.mark.parametrize("at", [0, 65_530, 65_535, 65_536, 131_000])
def test_a_header_is_found_wherever_it_begins(at):
    data = bytes(at) + _tiny()["flac"] + bytes(70_000)
    assert headers.find(data, 0, "flac") == headers.find(data, 0) == at
    assert headers.find(data, at + 1, "flac") is None


def test_movies_from_before_file_types():
    data = _tiny()["mp4/pcm_s24be"]
    old = data[:4] + b"wide" + data[8:]
    assert sniff.sniff(old) == "quicktime"
    assert _split(old) == [old]
    assert _split(old + old + data) == [old, old, data]


def test_streams_that_are_multiplexed_begin_one_part():
    """A video's Ogg file has a page for each of its streams at its beginning."""
    data = _tiny()["ogg/opus"]
    end_of_first = data.find(b"OggS", 1)
    link = data[:end_of_first] + data
    assert _split(link) == [link]
    assert _split(link + link) == [link, link]


@pytest.mark.parametrize("codec", ["aac", "loas/aac_latm", "mp2", "ac3", "eac3"])
def test_a_gap_of_zeros_or_tags_between_frames_ends_a_part(codec):
    """FFmpeg takes it for damage."""
    kind = KINDS[codec]
    data = encoded(voice(0.3, kind.rate), kind)
    assert _split(data + bytes(300) + data) == [data + bytes(300), data]


@pytest.mark.parametrize("codec", ["mp3", "aac", "mp2", "ac3", "eac3"])
def test_frames_of_another_format_begin_a_part(codec):
    def made(rate, n_channels):
        if codec == "mp3":
            return written(voice(0.3, rate, n_channels), codec, rate)
        kind = KINDS[codec]
        return encoded(voice(0.3, rate, n_channels), type(kind)(kind.muxer, kind.encoder, rate))

    first, second, third = made(48_000, 1), made(32_000, 1), made(32_000, 2)
    assert _split(first + second + third + first) == [first, second, third, first]
