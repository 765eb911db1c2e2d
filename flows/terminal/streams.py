"""Standard streams of the command: closed, full, broken off, or in an encoding that lacks a character."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, Literal, TextIO


def repair() -> None:
    """Open what a caller closed (`>&-`), and write what an encoding lacks as an escape.

    A file that is opened while 1 is closed gets that number, and what libraries print would go into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class LenientStream:
    """A stream for people's eyes: where it can be written no more, the command goes on without it.

    `error` is the first. A run must not fail to publish because a disk is full, or because `head` has seen enough.
    """

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self.error: OSError | None = None

    @property
    def _stream(self) -> TextIO:
        stream: TextIO = getattr(sys, self._name)  # of now: tests put another there
        return stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._going_on():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._going_on():
            self._stream.flush()

    def require_written(self) -> None:
        """Raise the error where what was printed is an answer, unless its reader wanted no more."""
        self.flush()
        if self.error is not None and self.error.errno != errno.EPIPE:
            raise self.error

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())  # what is left in the buffer goes there
                os.close(null)
