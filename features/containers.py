"""What kind of file the bytes are, and whether they are all there. The content decides; there is no name to go by."""

import re
import struct
from functools import lru_cache

from features.content import Content

_SIGNATURES: tuple[tuple[str, dict[int, bytes]], ...] = (
    ("wav", {0: b"RIFF", 8: b"WAVE"}),
    ("wav", {0: b"RIFX", 8: b"WAVE"}),
    ("rf64", {0: b"RF64", 8: b"WAVE"}),
    ("w64", {0: b"riff\x2e\x91\xcf\x11"}),
    ("aiff", {0: b"FORM", 8: b"AIF"}),
    ("au", {0: b".snd"}),
    ("caf", {0: b"caff"}),
    ("flac", {0: b"fLaC"}),
    ("ogg", {0: b"OggS"}),
    ("nist", {0: b"NIST_1A\n"}),
    ("voc", {0: b"Creative Voice File\x1a"}),
    ("mp4", {4: b"ftyp"}),
    ("quicktime", {4: b"moov"}),
    ("quicktime", {4: b"mdat"}),
    ("amr", {0: b"#!AMR"}),
    ("matroska", {0: b"\x1a\x45\xdf\xa3"}),
    ("asf", {0: b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"}),
    ("avi", {0: b"RIFF", 8: b"AVI "}),
    ("ape", {0: b"MAC "}),
    ("wavpack", {0: b"wvpk"}),
    ("tta", {0: b"TTA1"}),
    ("dsf", {0: b"DSD "}),
    ("musepack", {0: b"MPCK"}),
    ("musepack", {0: b"MP+"}),
    ("realmedia", {0: b".RMF"}),
    ("flv", {0: b"FLV\x01"}),
    ("aac", {0: b"ADIF"}),
)
READ = ("wav", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "mp3", "nist", "voc")
"""The containers that we read; `sniff` knows others by name, so that they are refused as what they are."""

_UNKNOWN_SIZE = 0x7FFF_F000  # what writes to a pipe puts this, or more, where the size belongs
_FORM_SLACK = 8  # recorders that count the form's own header in its size are common, and harmless


def sniff(data: Content) -> str | None:
    """The container's name, in `READ` or not; None where the bytes begin like no audio file that we know.

    >>> sniff(b"fLaC"), sniff(b"Dear Sir or Madam")
    ('flac', None)
    """
    start = _after_id3(data)
    head = data[start : start + 32]
    for name, magic in _SIGNATURES:
        if all(head[at : at + len(word)] == word for at, word in magic.items()):
            return name
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer, bitrate, rate = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
        if layer == 0 and head[1] & 0xF0 == 0xF0:
            return "aac"
        if layer in {1, 2} and bitrate != 15 and rate != 3:  # III, II; a UTF-16 text's mark would read as layer I
            return "mp3"
    return "mp3" if start else None


def missing(data: Content, container: str) -> str | None:
    """What the file's own sizes promise beyond its last byte, in words; None where nothing is known to be missing.

    Of mp3, caf, nist and voc no size is read here. FLAC has none: see `flac_is_cut`.
    """
    if container == "ogg":
        return _missing_ogg(data)
    promised, slack = _promised_bytes(data, container), 0
    if container in {"wav", "aiff"} and len(data) >= 12:
        order, chunk = ("<" if data[:4] == b"RIFF" else ">"), (b"SSND" if container == "aiff" else b"data")
        promised = _chunk_end(data, chunk, order)
        if promised <= len(data):
            promised, slack = _known(struct.unpack_from(order + "I", data, 4)[0]) + 8, _FORM_SLACK
    if promised > len(data) + slack:
        return f"the header promises {promised} bytes, found {len(data)}"
    return None


def flac_is_cut(data: Content) -> bool:
    """Whether the last FLAC frame is incomplete: only a whole one ends on its own CRC-16 (RFC 9639, 9.3)."""
    tail = data[-65_536:]
    syncs = [match.start() for match in re.finditer(rb"\xff[\xf8\xf9]", tail)]
    return not any(_crc16(tail[at:]) == 0 for at in syncs[-8:])


def mp3_splice(data: Content) -> tuple[int, bytes]:
    """Where an mp3's frames begin behind its tags, and the frame to put before them: one that promises far more than
    there can be where a Xing or Info frame is lacking, else none.

    Without, libsndfile takes the length from the first frame's bit rate and stops there: of a VBR file that gets
    quieter, half was silently lost (test_mp3_without_its_length_is_read_to_the_end).
    """
    start = _after_id3(data)
    first = data[start : start + 4]
    if not lacks_mp3_length(data) or len(first) < 4 or first[0] != 0xFF:
        return start, b""
    version, mono = first[1] >> 3 & 3, first[3] >> 6 == 3
    rate_hz = (44_100, 48_000, 32_000, 44_100)[first[2] >> 2 & 3] >> {3: 0, 2: 1}.get(version, 2)
    if version == 3:  # MPEG 1; 2 and 2.5 have half the samples, and less side information
        side_info, n_bytes = (17 if mono else 32), 144 * 128_000 // rate_hz
    else:
        side_info, n_bytes = (9 if mono else 17), 72 * 80_000 // rate_hz
    header = bytes([0xFF, first[1] | 1, 0x90 | first[2] & 0x0C, first[3]])
    frame = header + bytes(side_info) + b"Xing" + struct.pack(">II", 1, 0x00FF_FFFF)
    return start, frame.ljust(n_bytes, b"\0")


def lacks_mp3_length(data: Content) -> bool:
    """Whether an mp3 does not say how long it is; whether the end of such a file is missing cannot be known."""
    start = _after_id3(data)
    return not re.search(rb"Xing|Info", data[start : start + 64])


def _after_id3(data: Content) -> int:
    """Where the audio begins behind ID3v2 tags, and the zeros that some taggers leave behind theirs."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        size = data[start + 6 : start + 10]
        start += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
        padding = re.compile(rb"\0*").match(data, start)
        start = padding.end() if padding else start
    return start


def _promised_bytes(data: Content, container: str) -> int:
    if container == "au" and len(data) >= 12:
        header, size = struct.unpack_from(">II", data, 4)
        return int(header) + _known(size)
    if container == "w64" and len(data) >= 24:
        return int(struct.unpack_from("<Q", data, 16)[0])
    if container == "rf64" and len(data) >= 28:
        return int(struct.unpack_from("<Q", data, 20)[0]) + 8
    return 0


def _known(size: int) -> int:
    return 0 if size >= _UNKNOWN_SIZE else size


def _chunk_end(data: Content, wanted: bytes, order: str) -> int:
    """Where the chunk `wanted` of a RIFF or FORM ends, as its header says; 0 where there is none."""
    at = 12
    while at + 8 <= len(data):
        size: int = struct.unpack_from(order + "I", data, at + 4)[0]
        if data[at : at + 4] == wanted:
            return at + 8 + _known(size)
        at += 8 + size + size % 2
    return 0


def _missing_ogg(data: Content) -> str | None:
    last = data.rfind(b"OggS")
    segments = data[last + 27 : last + 27 + data[last + 26]] if len(data) > last + 26 else b""
    if not segments or last + 27 + len(segments) + sum(segments) > len(data):
        return "the last Ogg page is incomplete"
    if not data[last + 5] & 4:
        return "expected an Ogg page that ends the stream (RFC 3533), found none"
    return None


def _crc16(data: Content) -> int:
    table, crc = _crc16_table(), 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
    return crc


@lru_cache(maxsize=1)
def _crc16_table() -> list[int]:
    table = [byte << 8 for byte in range(256)]
    for _ in range(8):
        table = [(crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF for crc in table]
    return table
