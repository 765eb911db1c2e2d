"""Framed streams without a container: each frame begins with a sync word and states its size."""

import re
from collections.abc import Callable, Iterator

from features.containers.content import Content
from features.containers.extent import Extent

_MPEG_1_KBPS = {
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG_2_KBPS = {
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_HEADER_BYTES = 8
_SEARCH_BYTES = 65_536  # for the first frame, behind the remains of a cut
_MIN_CHAIN = 4  # so many frames in a row are no coincidence


def frame_kind(data: Content, at: int) -> str | None:
    """Return the kind of the frame whose header begins at `at`; None where there is none."""
    return next((kind for kind in KINDS if frame_size(data, at, kind)), None)


def first_frame(data: Content, start: int) -> tuple[str, int] | None:
    """Return kind and offset of the first frame near `start` that others of its kind follow; None without one."""
    return next(_chains(data, start, tuple(KINDS)), None)


def measure(data: Content, kind: str, start: int) -> Extent:
    """Return the extent of frames from `start` on; only the end is read. Without frames, all of the content."""
    at, found = len(data), None
    while found is None and at > start:
        at = max(start, at - _SEARCH_BYTES)
        found = next(_chains(data, at, (kind,)), None)
    found = found or ((kind, start) if frame_size(data, start, kind) else None)
    if found is None:
        return Extent(len(data))
    at = found[1]
    while found:
        while (size := frame_size(data, at, kind)) and at + size <= len(data):
            at += size
        found = next(_chains(data, at, (kind,)), None) if at < len(data) else None
        at = found[1] if found else at
    rest = len(data) - at
    if 0 < rest < _HEADER_BYTES and data[at] == _SYNCS[kind]:
        size = size or _HEADER_BYTES
    if not size or not rest:
        return Extent(at)
    return Extent(len(data), f"the last frame lacks {size - rest} bytes", size)


def find_chain(data: Content, start: int, kind: str) -> int | None:
    """Return the offset of the first frame from `start` on that others of its kind follow; None without one."""
    for at in range(start, len(data), _SEARCH_BYTES):
        if found := next(_chains(data, at, (kind,)), None):
            return found[1]
    return None


def _chains(data: Content, start: int, kinds: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield kinds and offsets of frames that others follow, in the `_SEARCH_BYTES` from `start` on."""
    window = data[start : start + _SEARCH_BYTES]
    syncs = re.compile(b"[" + re.escape(bytes({_SYNCS[kind] for kind in kinds})) + b"]")
    for match in syncs.finditer(window):
        for kind in kinds:
            at, n_frames = start + match.start(), 0
            while n_frames < _MIN_CHAIN and (size := frame_size(data, at, kind)):
                n_frames, at = n_frames + 1, at + size
            if n_frames == _MIN_CHAIN:
                yield kind, start + match.start()


def frame_size(data: Content, at: int, kind: str) -> int:
    """Return the size in bytes of the frame whose header begins at `at`; 0 where there is none."""
    return KINDS[kind](data[at : at + _HEADER_BYTES].ljust(_HEADER_BYTES, b"\0"))


def _adts(head: bytes) -> int:
    """ISO/IEC 14496-3, 1.A.2."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _loas(head: bytes) -> int:
    """ISO/IEC 14496-3, 1.7.2: AudioSyncStream."""
    return ((head[1] & 0x1F) << 8 | head[2]) + 3 if head[0] == 0x56 and head[1] & 0xE0 == 0xE0 else 0


def _mpeg(head: bytes) -> int:
    """ISO/IEC 11172-3 and 13818-3, 2.4.1.3; MPEG 2.5 as others write it."""
    version, layer, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or version == 1 or layer in {1, 4} or rate == 3 or head[2] >> 4 == 15:
        return 0
    kbps = (_MPEG_1_KBPS if version == 3 else _MPEG_2_KBPS)[layer][head[2] >> 4]
    rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head[2] >> 1 & 1
    n_samples = 576 if layer == 3 and version != 3 else 1152
    return n_samples * 125 * kbps // rate_hz + padding if kbps else 0


def _ac3(head: bytes) -> int:
    """ETSI TS 102 366, 4.3.1 and 4.4.1.3."""
    code, rate = head[4] & 63, head[4] >> 6
    if head[:2] != b"\x0b\x77" or head[5] >> 3 > 10 or rate == 3 or code >= 2 * len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[code >> 1]
    return 2 * (2 * kbps, 320 * kbps // 147 + (code & 1), 3 * kbps)[rate]


def _eac3(head: bytes) -> int:
    """ETSI TS 102 366, E.1.2.2."""
    return 2 * (((head[2] & 7) << 8 | head[3]) + 1) if head[:2] == b"\x0b\x77" and 10 < head[5] >> 3 <= 16 else 0


def _dts(head: bytes) -> int:
    """ETSI TS 102 114, 5.3: the core, in 16-bit words."""
    size = ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1
    return size if head[:4] == b"\x7f\xfe\x80\x01" and size >= 96 else 0


_SYNCS = {"aac": 0xFF, "loas": 0x56, "mp3": 0xFF, "mp2": 0xFF, "ac3": 0x0B, "eac3": 0x0B, "dts": 0x7F}
KINDS: dict[str, Callable[[bytes], int]] = {
    "aac": _adts,
    "loas": _loas,
    "mp3": lambda head: _mpeg(head) if head[1] >> 1 & 3 == 1 else 0,  # layer III
    "mp2": lambda head: _mpeg(head) if head[1] >> 1 & 3 == 2 else 0,  # UTF-16's mark reads as layer I: left out
    "ac3": _ac3,
    "eac3": _eac3,
    "dts": _dts,
}
"""Parsers by kind: the size in bytes of the frame with a header; 0 where it is no such header."""
