"""Good files with something behind their audio, or before it, are read like the file alone."""

import random
import struct
from functools import cache

import numpy as np
import pytest
from helpers.audio_files import FAST, KINDS, encoded, voice, written

from features.decode.recording import decode

SECONDS = 0.6
TAILS = {
    "zeros": bytes(70_000),
    "erased": b"\xff" * 3000,
    "newline": b"\r\n",
    "tag": b"TAG" + b"t" * 125,
    "ape tag": b"".join(b"APETAGEX" + struct.pack("<4I8x", 2000, 32, 0, flags) for flags in (0xA000_0000, 0x8000_0000)),
    "random": random.Random(9).randbytes(30_000),
    "a few": b"\x83\x91\xfe",
    "text": b"uploaded by a robot\n",
}
PADDING = {"zeros", "erased", "newline", "tag", "ape tag"}
CODECS = [
    *(
        "wav/pcm_16",
        "wav/ms_adpcm",
        "aiff/pcm_16",
        "au/pcm_16",
        "caf/pcm_16",
        "w64/pcm_16",
        "rf64/pcm_16",
        "nist/pcm_16",
    ),
    *("flac", "ogg/vorbis", "ogg/opus", "mp3", "mp4/aac", "mp4/alac", "aac", "loas/aac_latm", "amr/amr_nb"),
    *("matroska/opus", "matroska/flac", "asf/wmav2", "mpegts/aac", "flv/aac", "ac3", "eac3", "mp2", "wavpack", "tta"),
    *("wav/adpcm_g722", "ogg/flac"),
]


@cache
def made(codec):
    if codec in FAST:
        return written(voice(SECONDS), codec)
    kind = KINDS[codec]
    return encoded(voice(SECONDS, kind.rate, kind.n_channels), kind)


@cache
def alone(codec):
    return decode(made(codec))


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("codec", CODECS)
def test_a_tail_changes_nothing(codec, tail):
    found = decode(made(codec) + TAILS[tail])
    assert found.seconds == alone(codec).seconds
    assert np.array_equal(found.waveform, alone(codec).waveform)
    if tail in PADDING:
        assert found.measures.flaw is None
    else:
        assert found.measures.flaw == f"{len(TAILS[tail])} bytes behind the end of the audio are not read"


@pytest.mark.parametrize("head", [b"\r\n", bytes(70_000), b"ID3\x03\0\0\0\0\x00\x15" + bytes(range(21))])
@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec not in {"mpegts/aac", "mp4/aac", "mp4/alac"}])
def test_padding_and_tags_in_front_change_nothing(codec, head):
    found = decode(head + made(codec))
    assert np.array_equal(found.waveform, alone(codec).waveform)


def test_a_live_webm_ends_with_its_last_block():
    kind = KINDS["matroska/opus"]
    live = encoded(voice(SECONDS, kind.rate), kind, muxer_options={"live": "1"})
    for tail in ("zeros", "newline", "tag", "random"):
        assert np.array_equal(decode(live + TAILS[tail]).waveform, decode(live).waveform)
