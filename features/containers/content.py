"""A recording's bytes, in memory or in a file: looked into by slices, and read by decoders as a file of their own."""

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_RESIDENT_BYTES = 16_000_000  # bytes of a mapped file

Content = bytes | mmap.mmap
"""Bytes that can be sliced and searched; of a mapped file only what is looked at comes into memory."""


@contextmanager
def map_file(path: Path) -> Iterator[Content]:
    """A file as content. Raises OSError."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""  # nothing can be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


class View(io.RawIOBase):
    """`prefix` and then the content from `start` on, as a file.

    Stays where it is when a broken header leads before its start: an error could not leave a decoder's callback.
    """

    def __init__(self, content: Content, *, start: int = 0, prefix: bytes = b"") -> None:
        super().__init__()
        self._content, self._start, self._prefix = content, start, prefix
        self._size = len(prefix) + max(0, len(content) - start)
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
            data += self._content[first : first + size - len(data)]
        self._offset = at + len(data)
        self._release_pages(len(data))
        return data

    def _release_pages(self, n_read: int) -> None:
        """Of a mapped file, what was read stays in memory while nobody else needs it: give it back now and then."""
        self._n_resident += n_read
        if self._n_resident >= _MAX_RESIDENT_BYTES and isinstance(self._content, mmap.mmap):
            self._n_resident = 0
            if hasattr(mmap, "MADV_DONTNEED"):
                self._content.madvise(mmap.MADV_DONTNEED)
