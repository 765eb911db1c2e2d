"""End of a recording's samples inside a file, as its own header states it: in bytes, without decoding."""

import re
import struct
from collections.abc import Callable, Iterator

from features.containers.chunked import ebml_number
from features.containers.content import Content, unpack

_UNKNOWN_SIZE = 0x7FFF_F000  # and more: see `features.containers.completeness`
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_MAX_CHUNKS = 100_000


def stated_end(data: Content, container: str) -> int | None:
    """Return the offset behind the samples of content that begins with its header; None where it does not say.

    Within the content: of a file that is cut, the offset is its length.
    """
    try:
        end = _ENDS[container](data) if container in _ENDS else None
    except (struct.error, IndexError):
        return None
    return None if end is None else min(end, len(data))


def _riff(data: Content) -> int | None:
    order = ">" if data[:4] in {b"RIFX", b"FORM"} else "<"
    name = b"SSND" if data[:4] == b"FORM" else b"data"
    for at in _chunks(data, 12, lambda at: 8 + (size := _size(data, at, order)) + size % 2):
        if data[at : at + 4] == name:
            size = _size(data, at, order)
            return at + 8 + size if 0 < size < _UNKNOWN_SIZE else None
    return None


def _rf64(data: Content) -> int | None:
    """EBU Tech 3306: the size of the samples stands in the chunk ds64, unless their own chunk states it."""
    size = unpack("<Q", data, 28)[0]
    for at in _chunks(data, 12, lambda at: 8 + (size := _size(data, at, "<")) + size % 2):
        if data[at : at + 4] == b"data":
            own = _size(data, at, "<")
            return at + 8 + (size if own >= _UNKNOWN_SIZE else own)
    return None


def _w64(data: Content) -> int | None:
    """Sony Wave64: chunks of 8 aligned bytes, whose sizes count their headers of 24."""
    for at in _chunks(data, 40, lambda at: (unpack("<Q", data, at + 16)[0] + 7) // 8 * 8):
        if data[at : at + 16] == _W64_DATA:
            size: int = unpack("<Q", data, at + 16)[0]
            return at + size if size > 24 else None
    return None


def _caf(data: Content) -> int | None:
    for at in _chunks(data, 8, lambda at: 12 + unpack(">q", data, at + 4)[0]):
        if data[at : at + 4] == b"data":
            size: int = unpack(">q", data, at + 4)[0]
            return at + 12 + size if size > 0 else None
    return None


def _au(data: Content) -> int | None:
    header, size = unpack(">II", data, 4)
    return int(header + size) if 0 < size < _UNKNOWN_SIZE else None


def _nist(data: Content) -> int | None:
    """NIST SPHERE: a text header that counts samples, their bytes and channels; compressed ones have no end."""
    head = data[:4096].decode("latin-1")
    fields = dict(re.findall(r"^(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})$", head, re.MULTILINE))
    size = re.match(r"NIST_1A\n\s*(\d{1,7})\n", head)
    if not size or len(fields) < 3 or "embedded" in head:
        return None
    n_bytes = int(fields["sample_count"]) * int(fields["sample_n_bytes"]) * int(fields["channel_count"])
    return int(size[1]) + n_bytes if n_bytes else None


def _mp4(data: Content) -> int | None:
    """Boxes of ISO/IEC 14496-12, 4.2, up to the next that names a file's type."""

    def size(at: int) -> int:
        n_bytes, name = unpack(">I4s", data, at)
        if (at and name == b"ftyp") or not name.strip(b"\0").isascii():
            return 0
        return int(n_bytes if n_bytes > 1 else unpack(">Q", data, at + 8)[0] if n_bytes else len(data) - at)

    end = 0
    for at in _chunks(data, 0, size):
        end = at
    return end


def _matroska(data: Content) -> int | None:
    """Elements of RFC 8794, up to the end of the segment; a live one has no size."""
    at = 0
    for wanted in (_EBML, _SEGMENT):
        name, n_name = ebml_number(data, at, keep_marker=True)
        n_bytes, n_size = ebml_number(data, at + n_name)
        if name != wanted or not n_size or n_bytes == (1 << 7 * n_size) - 1:
            return None
        at += n_name + n_size + n_bytes
    return at


def _size(data: Content, at: int, order: str) -> int:
    return int(unpack(order + "I", data, at + 4)[0])


def _chunks(data: Content, start: int, size: Callable[[int], int]) -> Iterator[int]:
    """Yield the offsets of chunks, and of the end of the last; a size below that of a header ends them."""
    at = start
    for _ in range(_MAX_CHUNKS):
        yield at
        if at + 8 > len(data) or (n_bytes := size(at)) < 8:
            return
        at += n_bytes


_ENDS: dict[str, Callable[[Content], int | None]] = {
    "wav": _riff,
    "qcp": _riff,
    "aiff": _riff,
    "rf64": _rf64,
    "w64": _w64,
    "au": _au,
    "caf": _caf,
    "nist": _nist,
    "mp4": _mp4,
    "quicktime": _mp4,
    "matroska": _matroska,
}
