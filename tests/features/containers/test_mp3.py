"""mp3 through libsndfile: read to its end, behind any tags."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf
from helpers.audio_files import read, verdict, written

from data_contracts.rejects import Reason
from features.containers import mp3

RATE = 16_000


def fading(seconds=3.0):
    n = round(seconds * RATE)
    return (0.3 * np.random.default_rng(0).standard_normal((n, 1)) * np.linspace(1, 0, n)[:, None] ** 3).astype("f4")


def frames_of(data):
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
    data = written(fading(), "mp3", bitrate_mode="VARIABLE", compression_level=0.2)
    frames = frames_of(data)
    assert len({len(frame) for frame in frames}) > 2
    bare = b"".join(frames[1:])
    assert mp3.lacks_length(bare)
    with sf.SoundFile(io.BytesIO(bare)) as file:
        assert file.frames < 2.5 * RATE
    header, found = read(bare)
    assert header.n_promised is None
    assert len(found) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    # Cut between two frames, it is a shorter recording: nothing in it says that there was more.
    half = b"".join(frames[1 : len(frames) // 2])
    assert verdict(half) is None
    assert len(read(half)[1]) < 2 * RATE
    assert verdict(half[:-1]) == Reason.TRUNCATED


def test_padding_between_tag_and_frames_is_passed_over():
    tagged = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256 + 100) + written(fading(), "mp3")
    assert len(read(tagged)[1]) == pytest.approx(3 * RATE, abs=0.1 * RATE)


def test_wav_that_holds_mp3_is_read():
    """Its length in frames is an estimate that is never reached, and was once taken for truncation."""
    data = written(fading(), "mp3")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, len(data) // 3, 1, 0, 12, 1, 2, 576, 1, 1105)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, 4 * RATE)
    chunks += b"data" + struct.pack("<I", len(data)) + data
    wav = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
    header, found = read(wav)
    assert verdict(wav) is None
    assert (header.codec, len(found)) == ("wav/mpeg_layer_iii", pytest.approx(3 * RATE, abs=0.1 * RATE))


@pytest.mark.parametrize("n_cut", [0, 1000])
def test_frames_behind_those_that_a_xing_frame_counts_are_read(n_cut):
    """Decoders stop at its count: of two files joined, the second without a Xing frame, half was silently lost."""
    first, second = written(fading(2.0), "mp3"), b"".join(frames_of(written(fading(3.0), "mp3"))[1:])
    _, found = read(first[: len(first) - n_cut] + second)
    assert len(found) / RATE == pytest.approx(5.0 - n_cut / len(first) * 2, abs=0.2)
    assert not mp3.lacks_length(first)
