"""End of a recording's samples inside a file, as its own header states it: in bytes, without decoding."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from features.containers.chunked import ebml_number
from features.containers.content import Content, unpack
from features.containers.riff import UNKNOWN_SIZE

_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_MEDIA = {b"wide", b"mdat"}
_MAX_CHUNKS = 100_000


class Ends(NamedTuple):
    """Offsets behind the samples, and behind the file, which may have more behind them; beyond those of a cut one."""

    samples: int
    file: int


def stated_end(data: Content, container: str) -> Ends | None:
    """Return where content that begins with its header says that it ends; None where it does not say."""
    try:
        return _ENDS[container](data) if container in _ENDS else None
    except (struct.error, IndexError):
        return None


def _riff(data: Content) -> Ends | None:
    order = ">" if data[:4] in {b"RIFX", b"FORM"} else "<"
    name, form = (b"SSND" if data[:4] == b"FORM" else b"data"), _size(data, 0, order)
    for at in _chunks(data, 12, lambda at: 8 + (size := _size(data, at, order)) + size % 2):
        if data[at : at + 4] == name:
            size = _size(data, at, order)
            return _ends(at + 8 + size, 8 + form if form < UNKNOWN_SIZE else 0) if 0 < size < UNKNOWN_SIZE else None
    return None


def _rf64(data: Content) -> Ends | None:
    """EBU Tech 3306: sizes of 64 bits in the first chunk, ds64, unless the sample's own chunk states its size."""
    form, size = unpack("<QQ", data, 20)
    for at in _chunks(data, 12, lambda at: 8 + (size := _size(data, at, "<")) + size % 2):
        if data[at : at + 4] == b"data":
            own = _size(data, at, "<")
            return _ends(at + 8 + (size if own >= UNKNOWN_SIZE else own), form + 8)
    return None


def _w64(data: Content) -> Ends | None:
    """Sony Wave64: chunks of 8 aligned bytes, whose sizes count their headers of 24."""
    form = unpack("<Q", data, 16)[0]
    for at in _chunks(data, 40, lambda at: (unpack("<Q", data, at + 16)[0] + 7) // 8 * 8):
        if data[at : at + 16] == _W64_DATA:
            size: int = unpack("<Q", data, at + 16)[0]
            return _ends(at + size, form) if size > 24 else None
    return None


def _caf(data: Content) -> Ends | None:
    """Chunks, up to one that does not fit; the samples may be followed by the table of their packets."""
    samples = end = 0
    for at in _chunks(data, 8, lambda at: 12 + unpack(">q", data, at + 4)[0]):
        if at + 12 <= len(data) and data[at : at + 4] == b"data":
            samples = at + 12 + unpack(">q", data, at + 4)[0]
            if samples <= at + 12:
                return None
        end = at if at <= len(data) else end
    return _ends(samples, end) if samples else None


def _au(data: Content) -> Ends | None:
    header, size = unpack(">II", data, 4)
    return _ends(header + size) if 0 < size < UNKNOWN_SIZE else None


def _nist(data: Content) -> Ends | None:
    """NIST SPHERE: a text header that counts samples, their bytes and channels; compressed ones have no end."""
    head = data[:4096].decode("latin-1")
    fields = dict(re.findall(r"^(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})$", head, re.MULTILINE))
    size = re.match(r"NIST_1A\n\s*(\d{1,7})\n", head)
    if not size or len(fields) < 3 or "embedded" in head:
        return None
    n_bytes = int(fields["sample_count"]) * int(fields["sample_n_bytes"]) * int(fields["channel_count"])
    return _ends(int(size[1]) + n_bytes) if n_bytes else None


def _mp4(data: Content) -> Ends | None:
    """Boxes of ISO/IEC 14496-12, 4.2, up to the next that only another file may have."""
    seen = list[bytes]()

    def size(at: int) -> int:
        n_bytes, name = unpack(">I4s", data, at)
        is_next = (name == b"moov" and name in seen) or (name in _MEDIA and _is_old_movie(seen))
        seen.append(name)
        if is_next or (at and name == b"ftyp") or b"\0" in name:
            return 0
        return int(n_bytes if n_bytes > 1 else unpack(">Q", data, at + 8)[0] if n_bytes else len(data) - at)

    *_, end = _chunks(data, 0, size)
    return _ends(end)


def _is_old_movie(boxes: list[bytes]) -> bool:
    """Tell whether these are all boxes of a QuickTime movie from before file types, whose media come first."""
    return b"ftyp" not in boxes and b"moov" in boxes and b"mdat" in boxes[: boxes.index(b"moov")]


def _matroska(data: Content) -> Ends | None:
    """Elements of RFC 8794, up to the end of the segment; a live one has no size."""
    at = 0
    for wanted in (_EBML, _SEGMENT):
        name, n_name = ebml_number(data, at, keep_marker=True)
        n_bytes, n_size = ebml_number(data, at + n_name)
        if name != wanted or not n_size or n_bytes == (1 << 7 * n_size) - 1:
            return None
        at += n_name + n_size + n_bytes
    return _ends(at)


def _ends(samples: int, file: int = 0) -> Ends:
    return Ends(samples, max(samples, file))


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


_ENDS: dict[str, Callable[[Content], Ends | None]] = {
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
