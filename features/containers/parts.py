"""Split of a file into the recordings that it holds, one after the other.

Chained Ogg, recorders that start again and `cat` make such files; decoders stop at the first part without a word. A
header that states the size of its samples is taken at its word: only what lies behind is searched. Where it does not,
as in FLAC and Ogg, the file is searched for another.
"""

from features.containers import ends, framed_parts, headers, sniff
from features.containers.content import Content, Part

MAX_PARTS = 10_000
_MAX_BOS_PAGES = 64


def split(data: Content, container: str) -> list[Content]:
    """Return the parts of content that begins as `container` (see `sniff`), in order, each a file of its own.

    The content itself where there is one part. Behind `MAX_PARTS`, one more holds the rest of the file.
    """
    found, start, kind = list[Content](), 0, container
    while True:
        part = Part(data, start)
        end = ends.stated_end(part, kind)
        following = _next(part, kind, end) if len(found) < MAX_PARTS else None
        found.append(Part(data, start, None if following is None else start + following))
        if following is None:
            return found if len(found) > 1 else [data]
        start += following
        kind = sniff.sniff(Part(data, start)) or ""


def _next(part: Content, kind: str, end: int | None) -> int | None:
    """Return the offset of the next part."""
    if kind in framed_parts.FORMATS:
        return framed_parts.next_part(part, kind)
    if end is not None:
        return headers.find(part, end)
    if not headers.has_header(kind):
        return None
    own = headers.find(part, 0, kind)
    if own is None:
        return None
    return headers.find(part, _behind_bos_pages(part, own) if kind == "ogg" else own + 1, kind)


def _behind_bos_pages(data: Content, at: int) -> int:
    """Return the offset behind the Ogg pages that begin the streams of one link, multiplexed (RFC 3533, 4)."""
    for _ in range(_MAX_BOS_PAGES):
        if data[at : at + 5] != b"OggS\0" or not data[at + 5] & 2:
            break
        n_segments = data[at + 26]
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
    return at
