"""Detection of containers by content, without names."""

import io
import struct

import numpy as np
import pytest
from helpers.audio_files import FAST, KINDS, dsf, encoded, read, verdict, voice, written

from data_contracts.rejects import Reason
from features.containers import allowed, sniff


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypmp42", "mp4"),
        (b"\0\0\0\x18ftypqt  ", "mp4"),
        (b"\0\0\0\x08wide\0\0\0\x08mdat", "quicktime"),
        (b"#!AMR\n", "amr"),
        (b"#!AMR-WB\n", "amr"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
        (b"\xff\xf1\x50\x80\x10\x00", "aac"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xfd\x90\x64", "mp2"),
        (b"\x0b\x77\0\0\x14\x40", "ac3"),
        (b"\0\0\x01\xba\x44", "mpeg"),
        (b"MAC \x96\x0f", "ape"),
        (b"MPCKSH", "musepack"),
        (b"MP+\x07", "musepack7"),
        (b"\x02dss", "dss"),
        (b"ADIF", "adif"),
        (b"MThd", "midi"),
        (b"RIFF\0\0\0\0WEBP", None),
        ("Guten Tag".encode("utf-16"), None),
        (b"", None),
    ],
)
def test_sniff(head, name):
    assert sniff.sniff(head) == name


@pytest.mark.parametrize("codec", [*KINDS, *FAST])
def test_every_format_that_we_make_is_known(codec):
    if codec in FAST:
        data = written(voice(0.3), codec)
    else:
        data = encoded(voice(0.3, KINDS[codec].rate, KINDS[codec].n_channels), KINDS[codec])
    assert sniff.sniff(data) == codec.partition("/")[0]


def test_each_container_that_is_read_has_a_decoder():
    assert {name for name in sniff.READABLE if not sniff.is_libsndfile_container(name)} < allowed.DEMUXERS.keys()
    assert sniff.sniff(dsf(np.zeros(100))) == "dsf"


IMAGES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01",
    "gif": b"GIF89a\x01\0\x01\0",
    "bmp": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "tiff": b"II*\0\x08\0\0\0",
    "svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
}
OTHERS = {
    "text": b"Dear Sir or Madam,\n" * 200,
    "utf-16": ("Guten Tag " * 400).encode("utf-16"),
    "html": b"<!DOCTYPE html><html><body>403 Forbidden</body></html>",
    "json": b'{"error": "no such key"}',
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    "elf": b"\x7fELF\x02\x01\x01",
    "exe": b"MZ\x90\0\x03\0\0\0",
    "srt": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "webvtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
    "ass": b"[Script Info]\nScriptType: v4.00+\n",
    "m3u": b"#EXTM3U\n#EXTINF:10,\nfile.wav\n",
    "zeros": bytes(100_000),
    "parquet": b"PAR1" + bytes(200) + b"PAR1",
}


@pytest.mark.parametrize("name", [*IMAGES, *OTHERS])
@pytest.mark.parametrize("filler", ["nothing", "zeros", "noise"])
def test_other_files_are_not_taken_for_audio(name, filler):
    """Pictures and subtitles are formats to FFmpeg."""
    noise = np.random.default_rng(1).integers(0, 256, 200_000, np.uint8).tobytes()
    data = (IMAGES | OTHERS)[name] + {"nothing": b"", "zeros": bytes(50_000), "noise": noise}[filler]
    assert verdict(data) == Reason.NOT_AUDIO


def test_noise_is_not_taken_for_audio():
    """Four frames that follow each other are looked for in 64 KiB; random bytes never hold them."""
    random = np.random.default_rng(0)
    for _ in range(100):
        data = b"\0" + random.integers(0, 256, 70_000, np.uint8).tobytes()
        assert sniff.sniff(data) is None


@pytest.mark.parametrize("codec", ["mp3", "aac", "ac3", "mp2"])
@pytest.mark.parametrize("junk", [b"\0" * 300, b"\xff" * 50, b"<html>" * 500, bytes(range(256)) * 8])
def test_frames_behind_something_else_are_found(codec, junk):
    """Cut streams begin in the middle of a frame; servers put their own words in front."""
    made = voice(1.0, KINDS[codec].rate if codec in KINDS else 16_000)
    data = written(made, codec) if codec in FAST else encoded(made, KINDS[codec])
    assert sniff.sniff(junk + data) == codec
    assert sniff.audio_start(junk + data) == len(junk)
    _, whole = read(data)
    header, found = read(junk + data)
    assert header.codec == codec
    assert len(found) == len(whole)


def test_an_id3_tag_in_front_changes_nothing():
    tag = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256)
    for data in (written(voice(1.0), "flac"), written(voice(1.0), "mp3"), encoded(voice(1.0), KINDS["aac"])):
        assert np.array_equal(read(tag + data)[1], read(data)[1])


def test_a_transport_stream_of_a_camera_or_a_disc_is_known():
    """Blu-ray and AVCHD put four bytes of time before each packet."""
    data = encoded(voice(1.0, 48_000), KINDS["mpegts/aac"])
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    timed = b"".join(struct.pack(">I", n) + packet for n, packet in enumerate(packets))
    assert sniff.sniff(timed) == "mpegts"
    assert np.array_equal(read(timed)[1], read(data)[1])
    assert sniff.sniff(data[100:]) == "mpegts"


def test_a_refusal_names_what_it_found():
    assert verdict(b"MThd" + bytes(100)) == Reason.UNSUPPORTED
    assert verdict(b"ADIF" + bytes(100)) == Reason.UNSUPPORTED
    assert verdict(io.BytesIO().getvalue()) == Reason.EMPTY
