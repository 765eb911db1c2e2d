"""Extent of AMR and AMR-WB: frames whose first byte states their size (RFC 4867, 5.3)."""

from features.containers.content import Content
from features.containers.extent import Extent

_NARROW = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)  # by frame type, with the header; 0: reserved
_WIDE = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
_RESERVED_BITS = 0x83
_MIN_CHAIN = 30  # so many frames in a row, all of one size, are no coincidence
_SEARCH_BYTES = 65_536  # for frames behind a damaged one


def measure(data: Content) -> Extent:
    """Return the extent of the frames; zeros at the end, which would be frames of the lowest rate, are none."""
    at, sizes = (9, _WIDE) if data[:9] == b"#!AMR-WB\n" else (6, _NARROW)
    zeros = _padding_start(data)
    while at < zeros and (size := _size(data, at, sizes)):
        if at + size > len(data):
            n_found = len(data) - at
            error = f"the frame at byte {at} is {size} bytes long, found {n_found}"
            return Extent(len(data), error, size)
        at += size
    return Extent(len(data) if _goes_on(data, at, sizes) else min(at, len(data)))


def _size(data: Content, at: int, sizes: tuple[int, ...]) -> int:
    head = data[at]
    return 0 if head & _RESERVED_BITS else sizes[head >> 3 & 15]


def _padding_start(data: Content) -> int:
    """Return the offset of the zeros that the content ends with."""
    at = len(data)
    while at and not (rest := data[max(0, at - _SEARCH_BYTES) : at].rstrip(b"\0")):
        at = max(0, at - _SEARCH_BYTES)
    return max(0, at - _SEARCH_BYTES) + len(rest) if at else 0


def _goes_on(data: Content, at: int, sizes: tuple[int, ...]) -> bool:
    """Tell whether frames follow a damaged one: they are left to the decoder."""
    block = data[at : at + _SEARCH_BYTES]
    for first in range(len(block)):
        size = 0 if block[first] & _RESERVED_BITS or not block[first] else sizes[block[first] >> 3 & 15]
        heads = block[first : first + size * _MIN_CHAIN : size] if size > 1 else b""
        if len(heads) == _MIN_CHAIN and len(set(heads)) == 1:
            return True
    return False
