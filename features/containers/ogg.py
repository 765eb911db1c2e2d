"""Extent of Ogg (RFC 3533): whole pages, the last of them marked as the end of the stream.

Live recorders do not mark it, and libsndfile refuses Opus without the mark.
"""

from functools import lru_cache

from features.containers.content import Content
from features.containers.extent import Extent

_HEADER_BYTES = 27
_END_OF_STREAM = 4


def measure(data: Content) -> Extent:
    """Return the extent of the whole pages; a page that is cut is missing, and nothing is known of later ones."""
    missing, n_missing, at = None, 0, data.rfind(b"OggS")
    end = _page_end(data, at)
    if end is None or end > len(data) or data[end:] in {b"O", b"Og", b"Ogg"}:
        missing = "the last Ogg page is incomplete"
        n_missing = end - len(data) if end and end > len(data) else 1
        at = at if end and end <= len(data) else data.rfind(b"OggS", 0, max(0, at))
    while at > 0 and data[at + 6 : at + 14] == b"\xff" * 8:  # no packet ends on it
        at = data.rfind(b"OggS", 0, at)
    end = _page_end(data, at) if at >= 0 else None
    if end is None or end > len(data):
        return Extent(len(data), missing, n_missing)
    if data[at + 5] & _END_OF_STREAM:
        return Extent(len(data) if missing else end, missing, n_missing)
    return Extent(at, missing, n_missing, suffix=_mark_last(data[at:end]))


def _page_end(data: Content, at: int) -> int | None:
    """Return the end of the page at `at`, which may lie beyond the content; None where its header is cut."""
    sizes = data[at + _HEADER_BYTES : at + _HEADER_BYTES + data[at + 26]] if 0 <= at < len(data) - 26 else b""
    if not sizes or len(sizes) < data[at + 26]:
        return None
    return at + _HEADER_BYTES + len(sizes) + sum(sizes)


def _mark_last(page: bytes) -> bytes:
    """Return a page with the mark of the last one, and its checksum."""
    marked = bytearray(page)
    marked[5] |= _END_OF_STREAM
    marked[22:26] = bytes(4)
    marked[22:26] = _crc32(marked).to_bytes(4, "little")
    return bytes(marked)


def _crc32(data: bytes | bytearray) -> int:
    """The checksum of RFC 3533, 6: most significant bit first, beginning with 0."""
    table, crc = _crc32_table(), 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF_FFFF) ^ table[crc >> 24 ^ byte]
    return crc


@lru_cache(maxsize=1)
def _crc32_table() -> list[int]:
    table = [byte << 24 for byte in range(256)]
    for _ in range(8):
        table = [(crc << 1 ^ (0x04C1_1DB7 if crc >> 31 else 0)) & 0xFFFF_FFFF for crc in table]
    return table
