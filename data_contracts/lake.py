"""The lake: one root that holds features, staging, analytics and validation, local or in an object store.

from data_contracts import lake
lake.open("s3://bucket/undertone").scan("utterances")      # a polars LazyFrame
"""

import contextlib
import errno
import io
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from botocore import exceptions as boto
from deltalake import DeltaTable

from data_contracts.errors import LakeError, TransientError, UndertoneError, UsageError
from data_contracts.schemas import FEATURE_SETS, SCHEMA_VERSION, TABLE_KEYS

_ATOMIC_PUT = {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory"}
_NETWORK = (TimeoutError, ConnectionError, boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)
_BUSY = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}  # what s3fs makes of "slow down" and "internal error"
_ODD = re.compile(r"[^A-Za-z0-9/:._+=@,~-]")
_DELTA_CAN_WRITE = {"file", "local", "s3", "s3a", "gs", "gcs", "az", "abfs"}


def open(uri: str) -> "Lake":  # noqa: A001 - `lake.open(URI)` is how people say it
    """The lake at `uri`, a folder or any URL that both fsspec and Delta know. Raises UsageError for other URLs."""
    protocol = fsspec.utils.get_protocol(uri)
    if protocol not in _DELTA_CAN_WRITE:
        raise UsageError(
            f"the lake must be a folder or an s3://, gs:// or az:// URL; found {uri!r}; set UNDERTONE_LAKE"
        )
    lake = Lake(uri)
    odd = "".join(sorted(set(_ODD.findall(lake.uri))))
    if odd:
        raise UsageError(
            "the lake's address may hold ASCII letters, digits and . _ - + = @ , ~, because Delta and Polars spell "
            f"others in different ways; found {odd!r} in {lake.uri!r}"
        )
    return lake


def storage_options(uri: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What Polars and Delta need beside `uri` to reach S3: the endpoint, taken from the usual AWS settings."""
    if fsspec.utils.get_protocol(uri) not in {"s3", "s3a"}:
        return {}
    profile = botocore.session.Session().get_scoped_config()
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or profile.get("region")
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or profile.get("endpoint_url")
    options = {"aws_region": str(region or "us-east-1")}
    if endpoint:
        options |= {"aws_endpoint_url": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if key in environ:
            options[key.lower()] = environ[key]
    return options


@contextlib.contextmanager
def translated(doing: str, ours: type[UndertoneError] = LakeError) -> Iterator[None]:
    """Foreign storage errors become `ours`, or TransientError; FileNotFoundError passes, callers expect it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise ours(f"{doing}: access denied ({error}); check the credentials and the bucket's policy") from error
    except _NETWORK as error:
        raise TransientError(f"{doing}: {error}") from error
    except OSError as error:
        if error.errno in _BUSY:
            raise TransientError(f"{doing}: {error}") from error
        raise ours(f"{doing}: {error}; `undertone doctor` shows what can be reached") from error
    except boto.BotoCoreError as error:
        raise ours(f"{doing}: {error}; check the AWS settings, the credentials among them") from error


def _is_taken(error: OSError) -> bool:
    """Whether a file that was to be created is there; s3fs knows it by AWS's own words alone, not by Ceph's."""
    answer = getattr(error.__cause__, "response", {})  # botocore's
    return isinstance(error, FileExistsError) or answer.get("Error", {}).get("Code") in {"PreconditionFailed", "412"}


class Lake:
    """Paths below one root, atomic writes, and reading by name. Picklable: workers open their own connection."""

    def __init__(self, uri: str) -> None:
        protocol = fsspec.utils.get_protocol(uri)
        self.is_local = protocol in {"file", "local"}
        self.protocol = protocol
        if self.is_local:
            uri = str(Path(uri.removeprefix("file://")).expanduser().absolute())
        self.uri = uri.rstrip("/")
        options = {"use_listings_cache": False} if protocol in {"s3", "s3a"} else {}
        self.fs, self.path = fsspec.core.url_to_fs(self.uri, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Lake, (self.uri,))

    def at(self, *parts: str) -> str:
        """The full URI of a path below the root."""
        return "/".join((self.uri, *parts))

    @property
    def storage_options(self) -> dict[str, str]:
        return storage_options(self.uri)

    # -- files ---------------------------------------------------------------------------------------------------

    def _full(self, path: str) -> str:
        return f"{self.path}/{path}"

    def write(self, path: str, data: bytes) -> None:
        """The file appears whole or not at all: object stores put atomically, elsewhere it is renamed into place."""
        with translated(f"writing {self.at(path)}"):
            if self.protocol in _ATOMIC_PUT:
                self.fs.pipe_file(self._full(path), data)
                return
            with self._draft(path, data) as (draft, target):
                draft.replace(target)

    def create(self, path: str, data: bytes) -> bool:
        """Writes the file only where there is none; False where there is one. Atomic: of many at once, one creates."""
        with translated(f"creating {self.at(path)}"):
            try:
                if not self.is_local:
                    self.fs.pipe_file(self._full(path), data, mode="create")
                    return True
                with self._draft(path, data) as (draft, target):
                    target.hardlink_to(draft)  # fsspec asks first and writes then, and two may do so at once
            except OSError as error:
                if _is_taken(error):
                    return False
                raise
        return True

    @contextlib.contextmanager
    def _draft(self, path: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """A hidden file beside the one to be, and that one; what is left of the draft goes."""
        target = Path(self._full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            draft.write_bytes(data)
            yield draft, target
        finally:
            draft.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError."""
        with translated(f"reading {self.at(path)}"):
            return bytes(self.fs.cat_file(self._full(path)))

    def names(self, folder: str) -> list[str]:
        """Names of what stands directly in `folder`, sorted; empty where there is none."""
        with translated(f"listing {self.at(folder)}"):
            try:
                entries = self.fs.ls(self._full(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(name for entry in entries if not (name := entry.rstrip("/").rsplit("/", 1)[-1]).startswith("."))

    def exists(self, path: str) -> bool:
        with translated(f"looking for {self.at(path)}"):
            return bool(self.fs.exists(self._full(path)))

    def remove(self, folder: str) -> None:
        """Takes a folder away, if it is there."""
        with translated(f"removing {self.at(folder)}"), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self._full(folder), recursive=True)

    def write_json(self, path: str, value: Any) -> None:
        self.write(path, json.dumps(value, indent=2, default=str).encode())

    def read_json(self, path: str) -> Any:
        return json.loads(self.read(path))

    def write_parquet(self, path: str, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
        """zstd Parquet; the schema's version and `metadata` go into the file's own metadata."""
        stamped = {"undertone.schema_version": SCHEMA_VERSION, **(metadata or {})}
        sink = io.BytesIO()
        pq.write_table(
            table.replace_schema_metadata({**(table.schema.metadata or {}), **stamped}), sink, compression="zstd"
        )
        self.write(path, sink.getvalue())

    def read_parquet(self, path: str, columns: list[str] | None = None) -> pa.Table:
        """Read in one piece: a file that another run writes again meanwhile is the old one or the new, never a mixture.

        Raises FileNotFoundError.
        """
        return pq.read_table(pa.BufferReader(self.read(path)), columns=columns)

    # -- tables --------------------------------------------------------------------------------------------------

    def delta(self, table: str) -> DeltaTable | None:
        """The analytics table, or None before its first publication."""
        # deltalake's own `is_deltatable` holds the interpreter while it waits for the network: a server in this process
        # (the demo's, the tests') could never answer it.
        if not any(name.endswith(".json") for name in self.names(f"analytics/{table}/_delta_log")):
            return None
        uri = self.at("analytics", table)
        with translated(f"opening {uri}"):
            return DeltaTable(uri, storage_options=self.storage_options)

    def frame(self, table: str, schema: pa.Schema) -> pl.LazyFrame:
        """The analytics table, lazily; an empty frame of `schema` before its first publication.

        Columns of `schema` that an earlier version did not write are null.
        """
        delta, empty = self.delta(table), pl.DataFrame(schema.empty_table())
        if delta is None:
            return empty.lazy()
        held = {field.name for field in delta.schema().fields}
        added = [pl.lit(None, kind).alias(name) for name, kind in empty.schema.items() if name not in held]
        return pl.scan_delta(delta).with_columns(added)

    def read_files(self, paths: list[str]) -> pl.DataFrame:
        """Parquet files below the root, many at a time and each in one piece; its path stands in the column `path`.

        Not by Polars' own scan, which opens a file again for every part of it: a run that wrote the same shard at the
        same time changed it in between (test_a_file_is_read_in_one_piece). Raises FileNotFoundError.
        """
        with translated(f"reading {len(paths)} files below {self.uri}"):
            found = self.fs.cat([self._full(path) for path in paths])
        return pl.concat(
            pl.read_parquet(io.BytesIO(found[self.fs._strip_protocol(self._full(path))])).with_columns(
                path=pl.lit(path)
            )
            for path in paths
        )

    def scan(self, name: str) -> pl.LazyFrame:
        """A table, or a feature set, by its name. Raises UsageError where there is no such thing (yet)."""
        if name in TABLE_KEYS:
            delta = self.delta(name)
            if delta is None:
                raise UsageError(f"{self.at('analytics', name)} has nothing published yet; run `undertone backfill`")
            return pl.scan_delta(delta)
        if name not in FEATURE_SETS:
            known = ", ".join([*TABLE_KEYS, *FEATURE_SETS[1:]])
            raise UsageError(f"expected one of {known}; found {name!r}")
        if not self.names(f"features/{name}"):
            raise UsageError(f"{self.at('features', name)} holds nothing yet; run `undertone backfill`")
        return pl.scan_parquet(
            self.at("features", name, "**", "*.parquet"),
            storage_options=self.storage_options or None,
            hive_partitioning=True,
        )
