"""Files below one root, a folder or an object store; a write appears whole or not at all."""

import contextlib
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.addresses import normalize, protocol_of
from data_contracts.lake.damage import parsing
from data_contracts.lake.new_files import move_new
from data_contracts.object_store.client_options import (
    delta_retry_options,
    polars_retry_options,
    s3fs_options,
    storage_options,
)
from data_contracts.object_store.error_translation import error_code
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.schema.tables import SCHEMA_VERSION

T = TypeVar("T")

_ATOMIC_PUT = {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory"}
_without_links: set[str] = set()  # the local lakes where this process created a file, and could not link it


class Storage:
    """Paths below one root, atomic writes, and reading by name. Picklable: workers open their own connection.

    Every operation is retried while its store has transient errors, within `retry_policy`.
    """

    def __init__(self, uri: str, retry_policy: RetryPolicy = RetryPolicy()) -> None:
        self.uri = normalize(uri)
        protocol = protocol_of(self.uri)
        self.is_local = protocol == "file"
        self.protocol, self.retry_policy = protocol, retry_policy
        if protocol in {"s3", "s3a"}:
            from data_contracts.object_store.s3 import S3

            self.fs = S3(**s3fs_options(retry_policy))
            self.path = str(self.fs._strip_protocol(self.uri))
        elif self.is_local:
            self.fs, self.path = fsspec.filesystem("file"), self.uri  # `url_to_fs` splits a name with `::`
        else:
            self.fs, self.path = fsspec.core.url_to_fs(self.uri)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.uri, self.retry_policy))

    def uri_of(self, *parts: str) -> str:
        """Return the full URI of a path below the root."""
        return "/".join((self.uri, *parts))

    @property
    def storage_options(self) -> dict[str, str]:
        """Options for deltalake. It retries a commit unseen, and may report one that was done as failed.

        So check the history after any error (test_delta_commits.py). Where there are no hard links it checks and then
        renames: two writers may pass the check, but one at a time holds the publish lock.
        """
        if self.uri in _without_links:
            return {"allow_unsafe_rename": "true"}
        return storage_options(self.uri) | delta_retry_options(self.uri, self.retry_policy)

    @property
    def polars_options(self) -> dict[str, Any]:
        return storage_options(self.uri) | polars_retry_options(self.uri, self.retry_policy)

    def _full_path(self, path: str) -> str:
        return f"{self.path}/{path}"

    def _retry(self, action: str, function: Callable[[], T]) -> T:
        return self.retry_policy.call(action, function)

    def write(self, path: str, data: bytes) -> None:
        """Write a file that appears whole or not at all: by an atomic put, or renamed into place."""

        def put() -> None:
            if self.protocol in _ATOMIC_PUT:
                self.fs.pipe_file(self._full_path(path), data)
                return
            with self._draft(path, data) as (draft, target):
                draft.replace(target)

        self._retry(f"writing {self.uri_of(path)}", put)

    def create(self, path: str, data: bytes) -> bool:
        """Create the file; False where it exists already. Atomic: of many concurrent calls, one succeeds.

        An answer may be lost, and a client asks again by itself (aiohttp does): a file that holds `data` counts as
        created here. So give each caller bytes of its own; empty bytes never count.
        """

        def put() -> bool:
            try:
                self._put_new(path, data)
            except FileExistsError:
                return bool(data) and self._has_content(path, data)
            return True

        return self._retry(f"creating {self.uri_of(path)}", put)

    def _put_new(self, path: str, data: bytes) -> None:
        """Put a file that is not there yet. Raises FileExistsError."""
        if self.is_local:
            with self._draft(path, data) as (draft, target):
                if not move_new(draft, target):
                    _without_links.add(self.uri)
            return
        try:
            self.fs.pipe_file(self._full_path(path), data, mode="create")
        except OSError as error:
            if error_code(error) in {"PreconditionFailed", "412"}:  # s3fs tells it from others on AWS alone
                raise FileExistsError(path) from error
            raise

    def _has_content(self, path: str, data: bytes) -> bool:
        try:
            return bytes(self.fs.cat_file(self._full_path(path))) == data
        except FileNotFoundError:  # removed again by somebody who had seen it
            return False

    @contextlib.contextmanager
    def _draft(self, path: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """Yield a hidden draft with `data` and its target beside it; remove what is left of the draft."""
        target = Path(self._full_path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            draft.write_bytes(data)
            yield draft, target
        finally:
            draft.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """Read a file's bytes. Raises FileNotFoundError."""
        return self._retry(f"reading {self.uri_of(path)}", lambda: bytes(self.fs.cat_file(self._full_path(path))))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a file's bytes from `start` to before `end`. Raises FileNotFoundError."""
        return self._retry(
            f"reading {self.uri_of(path)}", lambda: bytes(self.fs.cat_file(self._full_path(path), start=start, end=end))
        )

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below `folder`, by path below the root; empty where there is none."""
        try:
            found = self._retry(
                f"listing {self.uri_of(folder)}", lambda: self.fs.find(self._full_path(folder), detail=True)
            )
        except FileNotFoundError:
            return {}
        return {name.removeprefix(f"{self.path}/"): int(info["size"]) for name, info in sorted(found.items())}

    def names(self, folder: str) -> list[str]:
        """List the names directly in `folder`, sorted and without hidden ones; empty where there is none."""
        try:
            entries = self._retry(
                f"listing {self.uri_of(folder)}", lambda: list(self.fs.ls(self._full_path(folder), detail=False))
            )
        except FileNotFoundError:
            return []
        return sorted(name for entry in entries if not (name := entry.rstrip("/").rsplit("/", 1)[-1]).startswith("."))

    def exists(self, path: str) -> bool:
        return self._retry(f"looking for {self.uri_of(path)}", lambda: bool(self.fs.exists(self._full_path(path))))

    def age_s(self, path: str) -> float:
        """Return seconds since the file was written, by the store's clock alone. Raises FileNotFoundError."""
        return self._retry(f"looking at {self.uri_of(path)}", lambda: self._age_s(self._full_path(path)))

    def _age_s(self, full: str) -> float:
        if self.is_local:
            return time.time() - Path(full).stat().st_mtime
        if self.protocol in {"s3", "s3a"}:  # the answer carries the store's time
            bucket, key, _ = self.fs.split_path(full)
            answer = self.fs.call_s3("head_object", Bucket=bucket, Key=key)
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            return float((now - answer["LastModified"]).total_seconds())
        probe = f"{full}.{uuid.uuid4().hex}"
        self.fs.pipe_file(probe, b"now")
        now = self.fs.modified(probe)
        self.fs.rm_file(probe)
        return float((now - self.fs.modified(full)).total_seconds())

    def remove(self, folder: str) -> None:
        """Remove a folder, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self._retry(f"removing {self.uri_of(folder)}", lambda: self.fs.rm(self._full_path(folder), recursive=True))

    def set_aside(self, path: str) -> None:
        """Rename a file or folder to a name that nobody takes for ours: it stays for whoever wants to look at it."""
        aside = f"{path}.damaged-{uuid.uuid4().hex[:8]}"
        self._retry(
            f"setting {self.uri_of(path)} aside",
            lambda: self.fs.mv(self._full_path(path), self._full_path(aside), recursive=True),
        )

    def write_json(self, path: str, value: Any) -> None:
        self.write(path, json.dumps(value, indent=2, default=str).encode())

    def read_json(self, path: str) -> Any:
        """Read a JSON file. Raises FileNotFoundError, and DamagedFile where it holds something else."""
        data = self.read(path)
        with parsing(self.uri, path, "JSON", len(data)):
            return json.loads(data)

    def write_parquet(self, path: str, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
        """Write zstd Parquet, with the schema's version and `metadata` in the file's own metadata."""
        stamped = {"undertone.schema_version": SCHEMA_VERSION, **(metadata or {})}
        sink = io.BytesIO()
        pq.write_table(
            table.replace_schema_metadata({**(table.schema.metadata or {}), **stamped}), sink, compression="zstd"
        )
        self.write(path, sink.getvalue())

    def read_parquet(self, path: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file in one piece: a file that is rewritten meanwhile is read as the old or the new one.

        Raises FileNotFoundError, and DamagedFile where it holds something else.
        """
        data = self.read(path)
        with parsing(self.uri, path, "a whole Parquet file", len(data)):
            return pq.read_table(pa.BufferReader(data), columns=columns)

    def read_files(self, paths: list[str], columns: list[str] | None = None) -> pl.DataFrame:
        """Read many Parquet files at a time, each in one piece; the column `path` holds its path below the root.

        Polars' own scan opens a file again for every part of it: a run that wrote the same shard at the same time
        changed it in between (test_a_file_is_read_in_one_piece). Raises as `read_parquet`.
        """
        found = self._retry(
            f"reading {len(paths)} files below {self.uri}",
            lambda: dict(self.fs.cat([self._full_path(path) for path in paths])),
        )
        return pl.concat(
            self._parse_parquet(path, found[self.fs._strip_protocol(self._full_path(path))], columns) for path in paths
        )

    def _parse_parquet(self, path: str, data: bytes, columns: list[str] | None) -> pl.DataFrame:
        with parsing(self.uri, path, "a whole Parquet file", len(data)):
            return pl.read_parquet(io.BytesIO(data), columns=columns).with_columns(path=pl.lit(path))
