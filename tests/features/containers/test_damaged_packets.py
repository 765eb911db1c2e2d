"""Data packets of ASF and RealMedia: damaged ones are found."""

import pytest
from helpers.audio_files import KINDS, encoded, voice

from features.containers.damaged_packets import describe
from features.decode.recording import decode

CODECS = ["asf/wmav1", "asf/wmav2", "realmedia/ac3", "realmedia/ra_144"]


@pytest.mark.parametrize("codec", CODECS)
def test_good_files_and_cut_ones_have_no_damage(codec):
    container, _, _ = codec.partition("/")
    for when in ({}, {"pause_s": 3.0}):
        data = encoded(voice(9.0, KINDS[codec].rate), KINDS[codec], **when)
        for n_bytes in (len(data), len(data) // 2, 60, 0):
            assert describe(data[:n_bytes], container) is None


def test_a_damaged_packet_is_told():
    """FFmpeg passes over it, without a word: two thirds of a second were gone."""
    data = encoded(voice(9.0), KINDS["asf/wmav2"])
    at = data.index(b"\x82\0\0", data.index(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")) + 50)
    found = decode(data[: at + 3] + bytes(5) + data[at + 8 :])
    assert found.seconds < 8.5
    assert "1 of " in found.measures.flaw
    assert "packets are damaged" in found.measures.flaw


def test_a_damaged_packet_of_realmedia_is_told():
    data = encoded(voice(9.0, 8000), KINDS["realmedia/ra_144"])
    at = data.index(b"DATA") + 18
    for _ in range(40):
        at += int.from_bytes(data[at + 2 : at + 4], "big")
    found = decode(data[:at] + b"\xff" * 12 + data[at + 12 :])
    assert "packet 41 of " in found.measures.flaw
