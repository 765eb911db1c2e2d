"""Extent of a file's audio: the bytes that its container accounts for, and the bytes that it promises beyond the last.

Bytes behind it are a tail: zeros of a preallocated file, tags, newlines, remains of another file.
"""

from dataclasses import dataclass

from features.containers.content import Content, View, skip

PADDING = b"\0\xff \t\r\n"
"""Values that fill up a file: of zeroed or erased memory, and of text."""


@dataclass(frozen=True)
class Extent:
    """Stretch of a file to decode: `prefix`, the bytes from `start` to `end`, `suffix`."""

    end: int
    missing: str | None = None  # the part that its own sizes promise beyond its last byte, in words
    n_missing: int = 0  # bytes of it, with what is there of a unit that is cut; 0 where they are not known
    start: int = 0
    prefix: bytes = b""  # a header with the sizes put right, in place of the file's own
    suffix: bytes = b""  # the last page, marked as such

    def view(self, data: Content) -> View:
        """Return what to decode, as a file."""
        return View(data, start=self.start, end=self.end, prefix=self.prefix, suffix=self.suffix)

    @property
    def n_bytes(self) -> int:
        return self.end - self.start + len(self.suffix)


def compare(promised: int, data: Content) -> Extent:
    """Return the extent of a file that states its own size."""
    if promised <= len(data):
        return Extent(promised)
    error = f"the header promises {promised} bytes, found {len(data)}"
    return Extent(len(data), error, promised - len(data))


def skip_tags(data: Content, at: int) -> int:
    """Return the offset behind the tags of an mp3 (ID3v1 and 2, APE, Lyrics3) that begin at `at`, or `at` itself."""
    while at < len(data):
        head = data[at : at + 16]
        if head.startswith(b"TAG"):
            at += 128
        elif head.startswith(b"APETAGEX") and len(head) == 16:
            at += 32 + int.from_bytes(head[12:], "little")
        elif head.startswith(b"ID3") and len(head) > 10:
            at += id3_bytes(head)
        elif head.startswith(b"LYRICSBEGIN") and (end := data.find(b"LYRICS200", at)) >= 0:
            at = end + 9
        else:
            return at
    return len(data)


def id3_bytes(head: bytes) -> int:
    """Return the size of an ID3v2 tag with this header of 10 bytes, in which each byte carries 7 bits."""
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def describe_tail(data: Content, extent: Extent) -> str | None:
    """Return in words what is not read behind the audio; None for tags, and for padding before or behind them."""
    end = len(data) if extent.missing else extent.end + len(extent.suffix)
    at = skip(data, skip_tags(data, skip(data, end, PADDING)), PADDING)
    return None if at >= len(data) else f"{len(data) - end} bytes behind the end of the audio are not read"
