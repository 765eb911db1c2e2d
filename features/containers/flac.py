"""Last frame of a FLAC file: the sample and the byte that it ends with, which the file's header may not say."""

import re
from functools import lru_cache

from features.containers.content import Content, unpack
from features.containers.extent import Extent

_SEARCH_BYTES = 1 << 18
_MAX_HEADER, _MIN_FRAME = 16, 8
_MAX_SAMPLES = (1 << 36) - 1
_FIRST_FRAME = 42  # behind the mark and STREAMINFO, at least
_SYNC = re.compile(rb"\xff[\xf8\xf9][^\x00-\x0f]")


def measure(data: Content) -> Extent:
    """Return the extent of a FLAC file; where its header counts fewer samples than it has, with their number.

    Encoders that write to a pipe leave the number open.
    """
    if data[:4] != b"fLaC" or len(data) < _FIRST_FRAME or (found := _find_last_frame(data)) is None:
        return Extent(len(data))
    at, (_, n_samples) = found
    end, stated = _frame_end(data, at), unpack(">Q", data, 18)[0]
    if n_samples <= stated & _MAX_SAMPLES:
        return Extent(end)
    stream = stated & ~_MAX_SAMPLES | n_samples
    return Extent(end, start=26, prefix=data[:18] + stream.to_bytes(8, "big"))


def find_last_frame(data: Content) -> tuple[int, int] | None:
    """Return the offsets of the last frame, and behind it or at the end of what is there; None without a frame."""
    found = _find_last_frame(data)
    return (found[0], _frame_end(data, found[0])) if found else None


def last_frame(data: Content) -> tuple[int, int] | None:
    """Return the numbers of the samples that the last frame begins with, and that follows it; None without a frame.

    Found by the last frame header (RFC 9639, 9.1) that its own CRC-8, the stream's properties and the frame before it
    confirm; the frame itself may be cut.
    """
    found = _find_last_frame(data)
    return found[1] if found else None


def _find_last_frame(data: Content) -> tuple[int, tuple[int, int]] | None:
    """Return the offset of the last frame, and its samples."""
    at = len(data)
    while at > _FIRST_FRAME:
        first = max(_FIRST_FRAME, at - _SEARCH_BYTES)
        block = data[first : at + _MAX_HEADER]
        places = [match.start() for match in _SYNC.finditer(block)]
        headers = ((first + place, _read_header(data, block[place : place + _MAX_HEADER])) for place in places)
        frames = [(place, frame) for place, frame in headers if frame]
        ends = {0, *(end for _, (_, end) in frames)}
        if found := next((frame for frame in reversed(frames) if frame[1][0] in ends), None):
            return found
        at = first
    return None


def _frame_end(data: Content, at: int) -> int:
    """Return the offset behind the frame at `at`, by its own CRC-16 (RFC 9639, 9.3); the end where it is cut.

    The last offset that the checksum confirms within the longest frame: chance confirms one in 65,536 behind the
    frame, and never takes a byte of it.
    """
    max_bytes = int.from_bytes(data[15:18], "big") or _SEARCH_BYTES
    table, crc, end = _crc16_table(), 0, len(data)
    for offset, byte in enumerate(data[at : at + max_bytes], at + 1):
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
        if not crc and offset > at + _MIN_FRAME:
            end = offset
    return end


def _read_header(data: Content, head: bytes) -> tuple[int, int] | None:
    max_block, stream = unpack(">H", data, 10)[0], unpack(">Q", data, 18)[0]
    n_channels = (stream >> 41 & 7) + 1
    if len(head) < 6 or head[3] & 1 or n_channels != ((head[3] >> 4) + 1 if head[3] >> 4 < 8 else 2):
        return None
    code, rate_code = head[2] >> 4, head[2] & 15
    n_number = max(1, 8 - (head[4] ^ 0xFF).bit_length())
    if n_number == 8:
        return None
    at = 4 + n_number
    number = head[4] & (0x7F if n_number == 1 else (1 << 7 - n_number) - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    n_more = {6: 1, 7: 2}.get(code, 0)
    after = at + n_more + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if rate_code == 15 or after >= len(head) or _crc8(head[:after]) != head[after]:
        return None
    if n_more:
        n_samples = int.from_bytes(head[at : at + n_more], "big") + 1
    else:
        n_samples = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    start = number if head[1] & 1 else number * max_block
    return start, start + n_samples


@lru_cache(maxsize=1)
def _crc16_table() -> list[int]:
    table = [byte << 8 for byte in range(256)]
    for _ in range(8):
        table = [(crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF for crc in table]
    return table


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc
