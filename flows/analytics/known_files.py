"""An object store's files for DuckDB, with what was learned of them before: that they are there, and how large.

DuckDB looks whether a file is there each time that it opens one, and at every file that a view names. A publication's
log and a listing have told that already: what is left is one request a stretch that is read.
"""

import datetime as dt
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from data_contracts.lake import Lake

PROTOCOL = "lake"
_MODIFIED = dt.datetime.fromtimestamp(0, dt.UTC)


class KnownFiles(AbstractFileSystem):  # type: ignore[misc]
    """Paths below the lake's root as `lake://…`; only those in `sizes`, in bytes, are there."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, lake: Lake) -> None:
        super().__init__()
        self.lake = lake
        self.sizes: dict[str, int] = {}
        self.failure: Exception | None = None  # the last of a read: of it DuckDB keeps a traceback in words alone

    def info(self, path: str, **_more: Any) -> dict[str, Any]:
        """Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        if path not in self.sizes:
            raise FileNotFoundError(path)
        return {"name": path, "size": self.sizes[path], "type": "file"}

    def glob(self, path: str, **_more: Any) -> list[str]:
        """The file of that very name, if it is known: views name no patterns."""
        path = self._strip_protocol(path)
        return [path] if path in self.sizes else []

    def modified(self, path: str) -> dt.datetime:  # noqa: ARG002 - fsspec's
        """One time for all: neither Delta's files nor the store's are changed under a reader's hands."""
        return _MODIFIED

    def _open(self, path: str, mode: str = "rb", **_more: Any) -> "_RangeFile":
        return _RangeFile(self, path, mode, cache_type="none", size=self.sizes[path])


class _RangeFile(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        lake: Lake = self.fs.lake
        try:
            return lake.read_range(self.path, start, end)
        except Exception as error:
            self.fs.failure = error
            raise
