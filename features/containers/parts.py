"""Split of a file into the recordings that it holds, one after the other.

Chained Ogg, recorders that start again and `cat` make such files; decoders stop at the first part without a word. A
header that states a size is taken at its word where the file ends there, or another begins there. Else, and where none
is stated, as in FLAC and Ogg, the file is searched for headers.
"""

from features.containers import ends, flac, framed_parts, headers, sniff
from features.containers.content import Content, Part, skip

MAX_PARTS = 10_000
_MAX_BOS_PAGES = 64


def split(data: Content, container: str) -> list[Content]:
    """Return the parts of content that begins as `container` (see `sniff`), in order, each a file of its own.

    The content itself where there is one part. Behind `MAX_PARTS`, one more holds the rest of the file.
    """
    found, start, kind = list[Content](), 0, container
    while True:
        part = Part(data, start)
        stated = ends.stated_end(part, kind)
        following = _next(part, kind, stated) if len(found) < MAX_PARTS else None
        found.append(Part(data, start, None if following is None else start + following))
        if following is None:
            return found if len(found) > 1 else [data]
        start += following
        kind = sniff.sniff(Part(data, start)) or ""


def _next(part: Content, kind: str, stated: ends.Ends | None) -> int | None:
    """Return the offset of the next part."""
    if kind in framed_parts.FORMATS:
        return framed_parts.next_part(part, kind)
    behind = None
    if stated:
        if stated.samples <= len(part) <= stated.file or (at := skip(part, stated.file, b"\0")) == len(part):
            return None
        if kind == "quicktime" and sniff.sniff(Part(part, stated.file)) == kind:
            return stated.file
        behind = headers.find(part, stated.samples)
        if behind is not None and behind <= at:
            return behind
    found = [behind, _search(part, kind)]  # a file that is cut states a size that reaches into the next
    return min((at for at in found if at is not None), default=None)


def _search(part: Content, kind: str) -> int | None:
    own = headers.find(part, 0, kind) if headers.has_header(kind) else None
    if own is None:
        return None
    found = headers.find(part, max(own + 1, _behind_bos_pages(part, own)) if kind == "ogg" else own + 1, kind)
    if kind == "flac":
        limit = len(part) if found is None else found
        frame = flac.find_last_frame(Part(part, own, limit))
        return headers.find(part, own + frame[0]) if frame and own + frame[1] < limit else found
    return found


def _behind_bos_pages(data: Content, at: int) -> int:
    """Return the offset behind the Ogg pages that begin the streams of one link, multiplexed (RFC 3533, 4)."""
    for _ in range(_MAX_BOS_PAGES):
        if at + 27 > len(data) or data[at : at + 5] != b"OggS\0" or not data[at + 5] & 2:
            break
        n_segments = data[at + 26]
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
    return at
