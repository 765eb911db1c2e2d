"""Last frame of a FLAC file: the sample that it ends with, which the file's header may not say."""

import re

from features.containers.content import Content, unpack
from features.containers.extent import Extent

_SEARCH_BYTES = 1 << 18
_MAX_HEADER = 16
_MAX_SAMPLES = (1 << 36) - 1
_FIRST_FRAME = 42  # behind the mark and STREAMINFO, at least
_SYNC = re.compile(rb"\xff[\xf8\xf9][^\x00-\x0f]")


def measure(data: Content) -> Extent:
    """Return the extent of a FLAC file; where its header counts fewer samples than it has, with their number.

    Encoders that write to a pipe leave the number open.
    """
    if data[:4] != b"fLaC" or len(data) < _FIRST_FRAME:
        return Extent(len(data))
    stated, last = unpack(">Q", data, 18)[0], last_frame(data)
    if last is None or last[1] <= stated & _MAX_SAMPLES:
        return Extent(len(data))
    stream = stated & ~_MAX_SAMPLES | last[1]
    return Extent(len(data), start=26, prefix=data[:18] + stream.to_bytes(8, "big"))


def last_frame(data: Content) -> tuple[int, int] | None:
    """Return the numbers of the samples that the last frame begins with, and that follows it; None without a frame.

    Found by the last frame header (RFC 9639, 9.1) that its own CRC-8, the stream's properties and the frame before it
    confirm; the frame itself may be cut.
    """
    at = len(data)
    while at > _FIRST_FRAME:
        first = max(_FIRST_FRAME, at - _SEARCH_BYTES)
        block = data[first : at + _MAX_HEADER]
        headers = (
            _read_header(data, block[match.start() : match.start() + _MAX_HEADER]) for match in _SYNC.finditer(block)
        )
        frames = [frame for frame in headers if frame]
        ends = {0, *(end for _, end in frames)}
        if found := next((frame for frame in reversed(frames) if frame[0] in ends), None):
            return found
        at = first
    return None


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


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc
