"""Bytes of a recording, in memory or a mapped file: sliced by parsers, and read by decoders as a file."""

import io
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

_MAX_RESIDENT_BYTES = 16_000_000  # bytes of a mapped file
_SKIP_BYTES = 65_536


class Part:
    """Stretch of content, read in place: content itself, whose offsets count from its own beginning."""

    def __init__(self, content: "Content", start: int, end: int | None = None) -> None:
        whole, first = (content.whole, content.start) if isinstance(content, Part) else (content, 0)
        last = first + len(content)
        self.whole: bytes | mmap.mmap = whole
        self.start: int = min(first + start, last)
        self._size = max(0, (last if end is None else min(first + end, last)) - self.start)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            first, last, step = key.indices(self._size)
            return self.whole[self.start + first : self.start + max(first, last) : step]
        if not -self._size <= key < self._size:
            raise IndexError(f"expected an offset within {self._size} bytes, found {key}")
        return self.whole[self.start + key % self._size]

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        first, last, _ = slice(start, end).indices(self._size)
        return max(-1, self.whole.find(wanted, self.start + first, self.start + last) - self.start)

    def rfind(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        first, last, _ = slice(start, end).indices(self._size)
        return max(-1, self.whole.rfind(wanted, self.start + first, self.start + last) - self.start)


Content = bytes | mmap.mmap | Part
"""Bytes that can be sliced and searched; pages of a mapped file come into memory when they are read."""


def skip(data: Content, at: int, values: bytes) -> int:
    """Return the offset of the first byte from `at` on that is none of `values`; the end where there is none."""
    while (block := data[at : at + _SKIP_BYTES]) and not (rest := block.lstrip(values)):
        at += len(block)
    return at + len(block) - len(rest) if block else at


def unpack(form: str, data: Content, at: int) -> tuple[Any, ...]:
    """Return the fields of `struct`'s format `form` from offset `at` on. Raises struct.error beyond the end."""
    return struct.unpack(form, data[at : at + struct.calcsize(form)])


def release_pages(data: Content) -> None:
    """Release the pages of a mapped file that were read; they are read again where they are needed."""
    whole = data.whole if isinstance(data, Part) else data
    if isinstance(whole, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        whole.madvise(mmap.MADV_DONTNEED)


@contextmanager
def map_file(path: Path) -> Iterator[Content]:
    """Map a file as content. Raises OSError."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""  # nothing can be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


class View(io.RawIOBase):
    """Content from `start` to `end` between `prefix` and `suffix`, as a file.

    A seek before its start, by a broken header, has no effect: an error could not leave a decoder's callback.
    """

    def __init__(
        self, content: Content, *, start: int = 0, end: int | None = None, prefix: bytes = b"", suffix: bytes = b""
    ) -> None:
        super().__init__()
        part = Part(content, start, end)
        self._content, self._start, self._end = part.whole, part.start, part.start + len(part)
        self._prefix, self._suffix = prefix, suffix
        self._size = len(prefix) + len(part) + len(suffix)
        self._offset = self._n_resident = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        self._offset = target if target >= 0 else self._offset
        return self._offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._slice(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self._slice(self._size if size < 0 else size)

    def _slice(self, size: int) -> bytes:
        at, n_before = self._offset, len(self._prefix)
        data = self._prefix[at : at + size]
        if len(data) < size:
            first = self._start + max(0, at - n_before)
            data += self._content[first : min(self._end, first + size - len(data))]
        if len(data) < size and self._suffix:
            first = max(0, at + len(data) - n_before - (self._end - self._start))
            data += self._suffix[first : first + size - len(data)]
        self._offset = at + len(data)
        self._release_pages(len(data))
        return data

    def _release_pages(self, n_read: int) -> None:
        """Release the pages of a mapped file now and then; without, they stay in memory after they were read."""
        self._n_resident += n_read
        if self._n_resident >= _MAX_RESIDENT_BYTES:
            self._n_resident = 0
            release_pages(self._content)
