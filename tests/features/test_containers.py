"""Whether a file is all there: each kind is cut for real."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from data_contracts.reasons import Reason
from features import containers
from features.audio import Decoded, decode

RATE = 16_000
KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def fading(seconds=3.0):
    n = round(seconds * RATE)
    return (0.3 * np.random.default_rng(0).standard_normal(n) * np.linspace(1, 0, n) ** 3).astype(np.float32)


def encoded(container="WAV", subtype="PCM_16", samples=None, **options):
    sink = io.BytesIO()
    samples = fading() if samples is None else samples
    sf.write(sink, samples, RATE, format=container, subtype=subtype, **options)
    return sink.getvalue()


@pytest.mark.parametrize("missing", ["one byte", "ten bytes", "half", "all but 200"])
@pytest.mark.parametrize(("container", "subtype"), KINDS)
def test_a_cut_file_is_truncated(container, subtype, missing):
    data = encoded(container, subtype)
    cut = {"one byte": 1, "ten bytes": 10, "half": len(data) // 2, "all but 200": len(data) - 200}[missing]
    found = decode(data[:-cut])
    expected = Reason.CORRUPT if container == "MP3" and cut == len(data) - 200 else Reason.TRUNCATED  # not one frame
    assert found.reason == expected


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_the_end_between_two_frames_or_pages_is_noticed(container, subtype):
    data = encoded(container, subtype)
    mark = b"\xff\xf8" if container == "FLAC" else b"OggS"
    assert decode(data[: data.rfind(mark)]).reason == Reason.TRUNCATED


def test_sizes_that_a_pipe_could_not_know_are_no_truncation():
    wav = bytearray(encoded())
    wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"
    assert decode(bytes(wav)).seconds == 3.0
    au = bytearray(encoded("AU"))
    au[8:12] = b"\xff\xff\xff\xff"
    assert decode(bytes(au)).seconds == 3.0


def test_a_riff_size_that_counts_its_own_header_is_no_truncation():
    wav = bytearray(encoded())
    wav[4:8] = struct.pack("<I", len(wav))
    assert decode(bytes(wav)).seconds == 3.0
    wav[4:8] = struct.pack("<I", len(wav) + 1000)
    assert decode(bytes(wav)).reason == Reason.TRUNCATED


def mp3_frames(data):
    """The frames of an MPEG-2 layer III file of 16 kHz."""
    kbps = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    frames, at = [], 0
    while at < len(data):
        size = 72_000 * kbps[data[at + 2] >> 4] // RATE + (data[at + 2] >> 1 & 1)
        frames.append(data[at : at + size])
        at += size
    return frames


def test_mp3_without_its_length_is_read_to_the_end():
    """libsndfile took the length from the first frame's bit rate: a VBR file that fades out came back as half of it."""
    data = encoded("MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.2)
    frames = mp3_frames(data)
    assert len({len(frame) for frame in frames}) > 2
    bare = b"".join(frames[1:])
    assert containers.lacks_mp3_length(bare)
    with sf.SoundFile(io.BytesIO(bare)) as file:
        assert file.frames < 2.5 * RATE
    found = decode(bare)
    assert isinstance(found, Decoded)
    assert found.seconds == pytest.approx(3.0, abs=0.1)
    # Cut, it is a shorter recording: nothing in it says that there was more.
    assert decode(bare[: len(bare) // 2]).seconds < 2


@pytest.mark.parametrize("kind", [("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_an_id3_tag_in_front_changes_nothing(kind):
    data = encoded(*kind)
    tagged = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256) + data
    assert np.array_equal(decode(tagged).waveform, decode(data).waveform)


def test_padding_between_tag_and_mp3_is_passed_over():
    tagged = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256 + 100) + encoded("MP3", "MPEG_LAYER_III")
    assert decode(tagged).seconds == pytest.approx(3.0, abs=0.1)


def test_wav_that_holds_mp3_is_read():
    """Its length in frames is an estimate that is never reached, and was once taken for truncation."""
    mp3 = encoded("MP3", "MPEG_LAYER_III")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, len(mp3) // 3, 1, 0, 12, 1, 2, 576, 1, 1105)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, 4 * RATE)
    chunks += b"data" + struct.pack("<I", len(mp3)) + mp3
    found = decode(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    assert (found.measures.codec, found.seconds) == ("wav/mpeg_layer_iii", pytest.approx(3.0, abs=0.1))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypmp42", "mp4"),
        (b"#!AMR\n", "amr"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"RIFF\0\0\0\0WEBP", None),
        ("Guten Tag".encode("utf-16"), None),
        (b"", None),
    ],
)
def test_sniff(head, name):
    assert containers.sniff(head) == name
