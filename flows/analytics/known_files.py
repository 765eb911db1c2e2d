"""Object-store files for DuckDB, with existence and size known from the publication's log and the listing.

DuckDB checks that a file exists each time that it opens one, and for every file that a view names. Known sizes save
those requests: one request for each byte range remains.
"""

import datetime as dt
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from data_contracts.lake import Lake

PROTOCOL = "lake"
_MODIFIED = dt.datetime.fromtimestamp(0, dt.UTC)


class KnownFiles(AbstractFileSystem):  # type: ignore[misc]
    """File system of the lake's files as `lake://…`: only paths in `sizes` (bytes) exist."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, lake: Lake) -> None:
        super().__init__()
        self.lake = lake
        self.sizes: dict[str, int] = {}
        self.failure: Exception | None = None  # the last of a read: DuckDB keeps only its traceback, as text

    def info(self, path: str, **_more: Any) -> dict[str, Any]:
        """Return name and size. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        if path not in self.sizes:
            raise FileNotFoundError(path)
        return {"name": path, "size": self.sizes[path], "type": "file"}

    def glob(self, path: str, **_more: Any) -> list[str]:
        """Return the file of that exact name, if it is known: views name no patterns."""
        path = self._strip_protocol(path)
        return [path] if path in self.sizes else []

    def modified(self, path: str) -> dt.datetime:  # noqa: ARG002 - fsspec's
        """Return one time for all files: neither Delta's nor the store's change while they are read."""
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
