"""Extent of Ogg (RFC 3533): whole pages, the last of them marked as the end of the stream.

Live recorders do not mark it, and libsndfile refuses Opus without the mark.
"""

from features.containers import ogg_pages
from features.containers.content import Content
from features.containers.extent import Extent

_HEADER_BYTES = 27
_END_OF_STREAM = 4
_CONTINUED = 255  # size of a segment whose packet goes on in the next


def measure(data: Content) -> Extent:
    """Return the extent of the pages; of a last one that is cut, its whole packets are read.

    Nothing is known of later pages. The cut page goes on saying where it ends, so that what it lacks is noticed.
    """
    missing, n_missing, at = None, 0, data.rfind(b"OggS")
    end = _page_end(data, at)
    if end is None or end > len(data) or data[end:] in {b"O", b"Og", b"Ogg"}:
        missing, is_whole = "the last Ogg page is incomplete", end is not None and end <= len(data)
        n_missing = max(1, (end or 0) - len(data))
        if not is_whole and (page := _whole_packets(data[at:])):
            return Extent(at, missing, n_missing, suffix=page)
        at = at if is_whole else data.rfind(b"OggS", 0, max(0, at))
    while at > 0 and data[at + 6 : at + 14] == b"\xff" * 8:  # no packet ends on it
        at = data.rfind(b"OggS", 0, at)
    end = _page_end(data, at) if at >= 0 else None
    if end is None or end > len(data):
        return Extent(len(data), missing, n_missing)
    if data[at + 5] & _END_OF_STREAM:
        return Extent(len(data) if missing else end, missing, n_missing)
    return Extent(at, missing, n_missing, suffix=_mark_last(data[at:end]))


def _whole_packets(page: bytes) -> bytes | None:
    """Return a page of the packets that are whole in a page that is cut, as the last; None where none is."""
    sizes = page[_HEADER_BYTES : _HEADER_BYTES + page[26]] if len(page) >= _HEADER_BYTES else b""
    if not sizes or len(sizes) < page[26] or page[6:14] == b"\xff" * 8:
        return None
    body, n_segments, n_bytes, end = page[_HEADER_BYTES + len(sizes) :], 0, 0, 0
    for n, size in enumerate(sizes):
        end += size
        if end > len(body):
            break
        if size < _CONTINUED:
            n_segments, n_bytes = n + 1, end
    if not n_segments:
        return None
    return _mark_last(page[:26] + bytes([n_segments]) + sizes[:n_segments] + body[:n_bytes])


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
    marked[22:26] = ogg_pages.checksum(bytes(marked)).to_bytes(4, "little")
    return bytes(marked)
