"""Headers whose sizes say too little, too much or nothing: the samples are found, all of them."""

import struct

import numpy as np
import pytest
from helpers.audio_files import read, verdict, voice, written

from data_contracts.rejects import Reason
from features.decode.recording import decode

SAMPLES = (voice(0.5)[:, 0] * 32_767).astype("<i2").tobytes()
FMT = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
TEXT = b"INFOISFT\x07\0\0\0mytool\0"  # 19 bytes
TAG = b"ID3\x03\0\0\0\0\x00\x15" + bytes(range(21))


def chunk(name, body, *, size=None, pad=True):
    stated = len(body) if size is None else size
    return name + struct.pack("<I", stated) + body + (b"\0" if pad and len(body) % 2 else b"")


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def fmt(**fields):
    names = ("code", "n_channels", "rate", "bytes_s", "block", "bits")
    return chunk(
        b"fmt ",
        struct.pack("<HHIIHH", *({**dict(zip(names, struct.unpack("<HHIIHH", FMT), strict=True)), **fields}).values()),
    )


DATA = chunk(b"data", SAMPLES)
READ_WHOLE = {
    "as it should be": riff(fmt(), DATA),
    "never came back": riff(fmt(), chunk(b"data", SAMPLES, size=0), size=0),
    "never came back, counted its header": riff(fmt(), chunk(b"data", SAMPLES, size=0), size=36),
    "data left open": riff(fmt(), chunk(b"data", SAMPLES, size=0)),
    "written to a pipe": riff(fmt(), chunk(b"data", SAMPLES, size=0xFFFF_FFFF), size=0xFFFF_FFFF),
    "2 GiB promised": riff(fmt(), chunk(b"data", SAMPLES, size=0x7FFF_FFFF), size=0x7FFF_FFFF),
    "half counted": riff(fmt(), chunk(b"data", SAMPLES, size=8000)),
    "only the samples counted": riff(fmt(), DATA, size=0),
    "too much in all": riff(fmt(), DATA, size=len(SAMPLES) + 2000),
    "odd chunk without a pad": riff(fmt(), chunk(b"LIST", TEXT, pad=False), DATA),
    "odd chunk without a pad first": riff(chunk(b"LIST", TEXT, pad=False), fmt(), DATA),
    "odd chunk with its pad": riff(fmt(), chunk(b"LIST", TEXT), DATA),
    "tag between chunks": riff(fmt(), TAG, DATA),
    "tag as a chunk, unpadded": riff(fmt(), chunk(b"id3 ", TAG, pad=False), DATA),
    "tag before all": TAG + riff(fmt(), DATA),
    "newline before all": b"\r\n" + riff(fmt(), DATA),
    "a chunk that is longer than the file": riff(fmt(), chunk(b"LIST", b"INFO", size=1 << 30), DATA),
    "a chunk without a name": riff(fmt(), b"\x01\x02\x03\x04" + bytes(8), DATA),
    "text behind": riff(fmt(), DATA, chunk(b"LIST", TEXT)),
    "text behind, not counted": riff(fmt(), DATA, size=36 + len(SAMPLES)) + chunk(b"LIST", TEXT),
    "text behind, cut": riff(fmt(), DATA, chunk(b"LIST", TEXT))[:-8],
    "no block": riff(fmt(block=0, bytes_s=0), DATA),
    "block of another format": riff(fmt(block=1), DATA),
    "wrong bytes a second": riff(fmt(bytes_s=7), DATA),
}


@pytest.mark.parametrize("name", READ_WHOLE)
def test_all_samples_of_a_wav_are_read(name):
    found = decode(READ_WHOLE[name])
    assert (found.measures.flaw, found.seconds) == (None, 0.5)
    assert np.array_equal(found.waveform, decode(READ_WHOLE["as it should be"]).waveform)


def test_a_wav_without_samples_is_empty():
    for size in (36, 0):
        assert decode(riff(fmt(), chunk(b"data", b""), size=size)).reason == Reason.EMPTY
    assert decode(riff(fmt(), chunk(b"data", b""), chunk(b"LIST", TEXT))).reason == Reason.EMPTY


def test_bytes_that_no_size_accounts_for_are_told_of():
    counted = riff(fmt(), chunk(b"data", SAMPLES[:8000]))
    found = decode(counted + SAMPLES[8000:])
    assert found.seconds == 0.25
    assert found.measures.flaw == "8000 bytes behind the end of the audio are not read"


def test_a_whole_frame_is_the_least_that_is_read():
    stereo = riff(fmt(n_channels=2, block=4), chunk(b"data", SAMPLES, size=len(SAMPLES) + 4))[:-1]
    header, found = read(stereo)
    assert verdict(stereo) == Reason.TRUNCATED
    assert (len(found), header.gap) == (
        len(SAMPLES) // 4 - 1,
        f"the header promises {len(SAMPLES) + 48} bytes, found {len(stereo)}",
    )


def _patched(data, *fields):
    changed = bytearray(data)
    for at, form, value in fields:
        struct.pack_into(form, changed, at, value)
    return bytes(changed)


def _siblings():
    sound = voice(0.5)
    aiff, w64, rf64 = (written(sound, f"{name}/pcm_16") for name in ("aiff", "w64", "rf64"))
    au, caf, nist = (written(sound, f"{name}/pcm_16") for name in ("au", "caf", "nist"))
    ssnd, comm, ds64 = aiff.index(b"SSND"), aiff.index(b"COMM"), rf64.index(b"ds64")
    data64, data_w64, data_caf = rf64.index(b"data"), w64.index(b"data"), caf.index(b"data")
    for unknown in (0, 0xFFFF_FFFF):
        yield f"aiff {unknown:x}", aiff, [(4, ">I", unknown), (ssnd + 4, ">I", unknown)]
        yield f"au {unknown:x}", au, [(8, ">I", unknown)]
    yield "aiff without its frames", aiff, [(4, ">I", 0), (ssnd + 4, ">I", 8), (comm + 10, ">I", 0)]
    yield "aiff half counted", aiff, [(ssnd + 4, ">I", 8008)]
    for unknown in (0, (1 << 64) - 1):
        yield f"w64 {unknown:x}", w64, [(16, "<Q", unknown), (data_w64 + 16, "<Q", unknown or 24)]
        yield f"rf64 {unknown:x}", rf64, [(ds64 + 8, "<Q", unknown), (ds64 + 16, "<Q", unknown)]
    yield "rf64 of 32 bits", rf64, [(data64 + 4, "<I", 0)]
    yield "caf -1", caf, [(data_caf + 4, ">q", -1)]
    yield "caf 0", caf, [(data_caf + 4, ">q", 0)]
    yield "caf 4", caf, [(data_caf + 4, ">q", 4)]
    count = b"sample_count -i %d" % 8000
    yield "nist without a count", nist.replace(count, b"sample_count -i 0".ljust(len(count))), []


@pytest.mark.parametrize(
    ("made", "fields"), [pytest.param(made, fields, id=name) for name, made, fields in _siblings()]
)
def test_all_samples_of_its_siblings_are_read(made, fields):
    found = decode(_patched(made, *fields))
    assert (found.measures.flaw, found.seconds) == (None, 0.5)
    assert np.array_equal(found.waveform, decode(made).waveform)


@pytest.mark.parametrize("stated", [0, 4096])
def test_all_samples_of_a_flac_are_read(stated):
    """Its header counts them; encoders that write to a pipe leave the number open, and some are cut short in it."""
    data = written(voice(1.0), "flac")
    at = int.from_bytes(data[18:26], "big") & ~((1 << 36) - 1) | stated
    changed = data[:18] + at.to_bytes(8, "big") + data[26:]
    for tail in (b"", bytes(70_000), b"\r\n", b"TAG" + bytes(125)):
        assert np.array_equal(read(changed + tail)[1], read(data)[1])
        assert verdict(changed + tail) is None
    assert verdict(changed[:-1]) == Reason.TRUNCATED
