"""Bytes of a recording, in memory or a mapped file: sliced by parsers, and read by decoders as a file."""

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_RESIDENT_BYTES = 16_000_000  # bytes of a mapped file

Content = bytes | mmap.mmap
"""Bytes that can be sliced and searched; pages of a mapped file come into memory when they are read."""


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
    """Content from `start` on behind `prefix`, as a file.

    A seek before its start, by a broken header, has no effect: an error could not leave a decoder's callback.
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
        """Release the pages of a mapped file now and then; without, they stay in memory after they were read."""
        self._n_resident += n_read
        if self._n_resident >= _MAX_RESIDENT_BYTES and isinstance(self._content, mmap.mmap):
            self._n_resident = 0
            if hasattr(mmap, "MADV_DONTNEED"):
                self._content.madvise(mmap.MADV_DONTNEED)
