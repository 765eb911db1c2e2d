"""Framed streams: each frame's size leads to the next, to the last byte."""

import pytest
from helpers.audio_files import KINDS, encoded, voice, written

from features.containers import framed

FRAMED = ["aac", "loas/aac_latm", "ac3", "eac3", "mp2"]


def encode(codec, rate=None):
    if codec == "mp3":
        return written(voice(1.0, rate or 16_000), "mp3", rate or 16_000)
    return encoded(voice(1.0, KINDS[codec].rate), KINDS[codec])


@pytest.mark.parametrize("codec", [*FRAMED, "mp3"])
def test_each_frame_leads_to_the_next(codec):
    data, kind = encode(codec), codec.partition("/")[0]
    at = n_frames = 0
    while at < len(data):
        assert framed.frame_kind(data, at) == kind
        at += framed.KINDS[kind](data[at : at + 8])
        n_frames += 1
    assert at == len(data)
    assert n_frames > 10
    assert framed.first_frame(data, 0) == (kind, 0)


@pytest.mark.parametrize("rate", [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_mpeg_audio_at_every_rate(rate):
    data = encode("mp3", rate)
    at = 0
    while at < len(data):
        at += framed.KINDS["mp3"](data[at : at + 8])
    assert at == len(data)


@pytest.mark.parametrize("codec", FRAMED)
@pytest.mark.parametrize("n_cut", [1, 3, 60])
def test_missing_bytes_of_the_last_frame(codec, n_cut):
    data, kind = encode(codec), codec.partition("/")[0]
    assert framed.measure(data, kind, 0).missing is None
    middle = len(data) // 2
    whole = next(
        at
        for at in range(middle, len(data))
        if framed.frame_kind(data, at) == kind and framed.first_frame(data, at) == (kind, at)
    )
    size = framed.KINDS[kind](data[whole : whole + 8])
    assert framed.measure(data[: whole + size - n_cut], kind, 0).missing == f"the last frame lacks {n_cut} bytes"


def test_only_the_end_of_a_long_stream_is_looked_at():
    data = encode("ac3")
    n = 10 * framed._SEARCH_BYTES // len(data)
    assert framed.measure(data * n, "ac3", 0).missing is None
    assert framed.measure((data * n)[:-7], "ac3", 0).missing == "the last frame lacks 7 bytes"


def test_bytes_behind_the_last_frame_are_ignored():
    data = encode("aac")
    assert framed.measure(data + b"TAG" + bytes(125), "aac", 0).missing is None
    assert framed.frame_kind(b"", 0) is None
    assert framed.first_frame(b"\xff" * 1000, 0) is None
