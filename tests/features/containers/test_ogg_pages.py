"""Pages of Ogg files: damage is found, and granule positions that do not follow from the packets."""

import struct

import numpy as np
import pytest
from helpers.audio_files import KINDS, encoded, likeness, read, voice, written

from data_contracts.rejects import Reason
from features.containers.ogg_pages import Pages, inspect
from features.decode.recording import decode

RATES = {"ogg/opus": 48_000, "ogg/vorbis": 16_000, "ogg/flac": 16_000}
FILES = {
    "ogg/opus": written(voice(6.0), "ogg/opus"),
    "ogg/vorbis": written(voice(6.0), "ogg/vorbis"),
    "ogg/flac": encoded(voice(6.0), KINDS["ogg/flac"]),
}


def pages(data):
    at, found = 0, []
    while at < len(data):
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        found.append(bytearray(data[at : at + size]))
        at += size
    return found


def with_checksum(page):
    page[22:26] = bytes(4)
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C1_1DB7 if crc >> 31 else 0)) & 0xFFFF_FFFF
    page[22:26] = struct.pack("<I", crc)
    return bytes(page)


def moved(data, seconds, rate, first=0):
    """Move the granule positions from page `first` on."""
    changed = []
    for n, page in enumerate(pages(data)):
        (granule,) = struct.unpack_from("<q", page, 6)
        if granule > 0 and n >= first:
            struct.pack_into("<q", page, 6, granule + round(seconds * rate))
        changed.append(with_checksum(page))
    return b"".join(changed)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("codec", ["ogg/vorbis", "ogg/opus"])
def test_nothing_is_odd_in_ordinary_files(codec, rate):
    if codec == "ogg/vorbis" or rate != 44_100:  # Opus has no such rate
        for n_channels in (1, 2):
            assert inspect(written(voice(3.3, rate, n_channels), codec, rate)) == Pages()


@pytest.mark.parametrize("codec", FILES)
def test_a_recording_of_a_running_stream_begins_at_0(codec):
    """Listeners of a radio begin at the position of the stream, which may be weeks."""
    data = FILES[codec]
    assert inspect(data) == Pages()
    for hours in (1, 1000):
        live = moved(data, hours * 3600, RATES[codec])
        assert inspect(live) == Pages(begins_at_zero=False)
        found, expected = read(live)[1], read(data)[1]
        assert len(found) == len(expected)
        assert likeness(found[:, 0], expected[:, 0], RATES[codec])[0] > 0.99  # Opus 6.5 ms earlier: libsndfile
        assert decode(live).measures.flaw is None


@pytest.mark.parametrize("codec", FILES)
def test_a_jump_ahead_is_silence(codec):
    """It was `corrupt`: the last position promises more than there is."""
    data, rate = FILES[codec], RATES[codec]
    paused = moved(data, 10, rate, first=4)
    assert not inspect(paused).is_steady
    found = decode(paused)
    assert found.seconds == pytest.approx(16.0, abs=0.1)
    assert found.measures.flaw is None
    n_silent = int((np.abs(found.waveform.reshape(-1, 160)).max(axis=1) < 1e-4).sum())
    assert n_silent / 100 == pytest.approx(10.0, abs=0.3)


@pytest.mark.parametrize("codec", FILES)
def test_positions_that_go_back_lose_no_more_than_a_page_and_say_so(codec):
    """libsndfile takes the length from the last position, and left out what lies behind it."""
    found = decode(moved(FILES[codec], -2, RATES[codec], first=5))
    assert found.seconds > 5.0
    assert "go back" in found.measures.flaw


@pytest.mark.parametrize("codec", FILES)
def test_a_lost_page_is_silence_and_a_flaw(codec):
    whole = pages(FILES[codec])
    found = decode(b"".join(bytes(page) for n, page in enumerate(whole) if n != 3))
    assert found.seconds == pytest.approx(6.0, abs=0.1)
    assert "1, from byte" in found.measures.flaw


@pytest.mark.parametrize("codec", FILES)
def test_a_damaged_last_page_is_told(codec):
    """The recording looked complete, and ended a page early."""
    data = bytearray(FILES[codec])
    data[-40] ^= 1
    found = decode(bytes(data))
    flaw = getattr(found, "error", None) or found.measures.flaw
    assert flaw
    assert inspect(bytes(data)).flaws[0].startswith("Ogg pages are damaged or missing: 1, from byte")


@pytest.mark.parametrize("n_bytes", [6, 15, 26])
def test_a_first_page_that_is_cut_in_its_header_is_a_reject(n_bytes):
    """It ended in an error of ours, which a mutation run found."""
    assert decode(FILES["ogg/opus"][:n_bytes]).reason in {Reason.TRUNCATED, Reason.CORRUPT}
