"""Completeness of a file: the sizes that it states against the bytes that are there."""

import re
import struct
from collections.abc import Callable
from functools import lru_cache

from features.containers import chunked, framed, sniff
from features.containers.content import Content, unpack

_UNKNOWN_SIZE = 0x7FFF_F000  # programs that write to a pipe put this, or more, in place of the size
_FORM_SLACK = 8  # recorders that count the form's own header in its size are common, and harmless
_FRAMED = ("aac", "loas", "mp2", "ac3", "eac3", "dts")
_TS_PACKETS = (188, 192, 204)


def find_missing(data: Content, container: str) -> str | None:
    """Return in words the part that the file's own sizes promise beyond its last byte; None where none is known.

    A stream of frames (mp3, aac, ac3, amr …) does not state their number: only a last frame that is cut is noticed.
    No size is read of voc, dss, shorten and tak. FLAC states none: see `flac_is_cut`.
    """
    try:
        return _CHECKS[container](data) if container in _CHECKS else None
    except (struct.error, IndexError):
        return "the header is incomplete"


def detects_any_cut(container: str) -> bool:
    """Tell whether a cut anywhere in such a file is noticed; samples missing nevertheless are then a hole."""
    return container in _CHECKS and container not in _FRAMED


def flac_is_cut(data: Content) -> bool:
    """Tell whether the last FLAC frame is incomplete: only a complete one ends on its own CRC-16 (RFC 9639, 9.3)."""
    tail = data[-65_536:]
    syncs = [match.start() for match in re.finditer(rb"\xff[\xf8\xf9]", tail)]
    return not any(_crc16(tail[at:]) == 0 for at in syncs[-8:])


def _compare_sizes(promised: int, data: Content, slack: int = 0) -> str | None:
    if promised > len(data) + slack:
        return f"the header promises {promised} bytes, found {len(data)}"
    return None


def _riff_or_form(data: Content, chunk: bytes) -> str | None:
    """RIFF, RIFX and FORM: the chunk with the samples, then the whole form."""
    order = "<" if data[:4] == b"RIFF" else ">"
    whole = _known_size(unpack(order + "I", data, 4)[0]) + 8
    return _compare_sizes(_chunk_end(data, chunk, order), data) or _compare_sizes(whole, data, _FORM_SLACK)


def _chunk_end(data: Content, wanted: bytes, order: str) -> int:
    """Return the end of the chunk `wanted` of a RIFF or FORM, by its header, or of an earlier one beyond the file.

    0 where there is neither.
    """
    at = 12
    while at + 8 <= len(data):
        size: int = unpack(order + "I", data, at + 4)[0]
        if data[at : at + 4] == wanted:
            return at + 8 + _known_size(size)
        at += 8 + size + size % 2
    return at if at > len(data) + 1 else 0  # the byte that pads the last may be lacking


def _known_size(size: int) -> int:
    return 0 if size >= _UNKNOWN_SIZE else size


def _rf64(data: Content) -> str | None:
    """EBU Tech 3306: sizes of 64 bits in its first chunk, and of 32 where these do."""
    whole: int = unpack("<Q", data, 20)[0] + 8
    return _compare_sizes(whole, data) or _compare_sizes(_chunk_end(data, b"data", "<"), data)


def _au(data: Content) -> str | None:
    header, size = unpack(">II", data, 4)
    return _compare_sizes(header + _known_size(size), data)


def _ogg(data: Content) -> str | None:
    last = data.rfind(b"OggS")
    segments = data[last + 27 : last + 27 + data[last + 26]] if len(data) > last + 26 else b""
    if not segments or last + 27 + len(segments) + sum(segments) > len(data):
        return "the last Ogg page is incomplete"
    if not data[last + 5] & 4:
        return "expected an Ogg page that ends the stream (RFC 3533), found none"
    return None


def _nist(data: Content) -> str | None:
    """NIST SPHERE: a text header that counts samples, their bytes and channels; compressed files are not checked."""
    head = data[:4096].decode("latin-1")
    fields = dict(re.findall(r"^(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})$", head, re.MULTILINE))
    size = re.match(r"NIST_1A\n\s*(\d{1,7})\n", head)
    if not size or len(fields) < 3 or "embedded" in head:
        return None
    samples = int(fields["sample_count"]) * int(fields["sample_n_bytes"]) * int(fields["channel_count"])
    return _compare_sizes(int(size[1]) + samples, data)


def _tta(data: Content) -> str | None:
    """True Audio, version 1: a header of 22 bytes, a table of the frames' sizes with its checksum, the frames."""
    rate_hz, n_samples = unpack("<II", data, 10)
    n_frames = -(-n_samples * 245 // (256 * rate_hz)) if rate_hz else 0
    if 22 + 4 * n_frames > len(data):
        return _compare_sizes(22 + 4 * n_frames, data)
    return _compare_sizes(26 + 4 * n_frames + sum(unpack(f"<{n_frames}I", data, 22)), data)


def _ape(data: Content) -> str | None:
    """Monkey's Audio from 3.98 on: the sizes of everything, in its first 52 bytes."""
    if unpack("<H", data, 4)[0] < 3980:
        return None
    descriptor, header, seeks, wav, low, high, end = unpack("<7I", data, 8)
    return _compare_sizes(descriptor + header + seeks + wav + (high << 32 | low) + end, data)


def _transport_stream(data: Content) -> str | None:
    for size in _TS_PACKETS:
        first = data[: 2 * size].find(b"G")
        if first >= 0 and all(data[first + n * size : first + n * size + 1] in {b"G", b""} for n in range(1, 6)):
            rest = (len(data) - first + (4 if size == 192 else 0)) % size
            return f"the last packet has {rest} of {size} bytes" if rest else None
    return None


def _frame_check(kind: str) -> Callable[[Content], str | None]:
    def check(data: Content) -> str | None:
        n_missing = framed.n_missing_bytes(data, kind, sniff.audio_start(data))
        return f"the last frame lacks {n_missing} bytes" if n_missing else None

    return check


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


_CHECKS: dict[str, Callable[[Content], str | None]] = {
    "wav": lambda data: _riff_or_form(data, b"data"),
    "qcp": lambda data: _riff_or_form(data, b"data"),
    "avi": lambda data: _riff_or_form(data, b"idx1"),
    "aiff": lambda data: _riff_or_form(data, b"SSND"),
    "rf64": _rf64,
    "w64": lambda data: _compare_sizes(unpack("<Q", data, 16)[0], data),
    "dsf": lambda data: _compare_sizes(unpack("<Q", data, 12)[0], data),
    "au": _au,
    "ogg": _ogg,
    "nist": _nist,
    "tta": _tta,
    "ape": _ape,
    "caf": chunked.caf,
    "mp4": chunked.mp4,
    "quicktime": chunked.mp4,
    "matroska": chunked.matroska,
    "asf": chunked.asf,
    "amr": chunked.amr,
    "flv": chunked.flv,
    "wavpack": chunked.wavpack,
    "realmedia": chunked.realmedia,
    "musepack": chunked.musepack,
    "mpegts": _transport_stream,
    **{kind: _frame_check(kind) for kind in _FRAMED},
}
