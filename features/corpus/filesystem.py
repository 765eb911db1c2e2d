"""File systems of the corpus and the attributes of their objects. The corpus is only ever read."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import fsspec

from data_contracts.addresses import protocol_of
from data_contracts.errors import CorpusError, UsageError
from data_contracts.object_store.client_options import s3fs_options
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from features.corpus.names import to_disk_name, to_text

FOLDER = "folder"
"""Etag of a folder where a file was named."""

EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
_STAMPS = ("LastModified", "last_modified", "mtime", "updated", "created")


def stat_object(uri: str, date: dt.date | None, retry_policy: RetryPolicy = RetryPolicy()) -> AudioObject:
    """Describe one object as a listing does; a folder by the etag FOLDER, at no time.

    Raises FileNotFoundError, or CorpusError where the store refuses.
    """
    fs, path = connect(uri, retry_policy)
    entry = retry_policy.call(f"looking at {uri}", lambda: fs.info(path), CorpusError)
    is_folder = entry.get("type") == "directory"
    modified = EPOCH if is_folder else modified_at(entry)
    uri = to_text(entry["name"]) if is_local(fs) else str(fs.unstrip_protocol(entry["name"]))
    mark, n_bytes = (FOLDER, 0) if is_folder else (etag(entry), size(entry))
    return AudioObject(uri, mark, n_bytes, date or modified.date(), modified)


def modified_at(entry: dict[str, Any]) -> dt.datetime:
    """Return the time of an entry's last change, in UTC; the epoch where its store does not tell."""
    for stamp in (entry[key] for key in _STAMPS if entry.get(key) is not None):
        if isinstance(stamp, dt.datetime):
            return stamp.astimezone(dt.UTC)
        if isinstance(stamp, int | float):
            return dt.datetime.fromtimestamp(stamp, dt.UTC)
    return EPOCH


def size(entry: dict[str, Any]) -> int:
    return int(entry.get("size") or 0)


def etag(entry: dict[str, Any]) -> str:
    """Return a mark that changes with an entry's content; made of time and size where the store has no etag."""
    mark = str(entry.get("ETag") or entry.get("etag") or entry.get("md5") or "").strip('"')
    return mark or f"{int(modified_at(entry).timestamp() * 1e6):x}-{size(entry):x}"


def open_root(root: str, retry_policy: RetryPolicy) -> tuple[Any, str]:
    """Return the file system of the corpus' root and the path in it. Raises CorpusError where there is none."""
    fs, path = connect(root, retry_policy)
    try:
        # Not `exists`: s3fs takes a bucket that does not answer for one that is not there.
        retry_policy.call(f"looking at the corpus {root}", lambda: fs.info(path), CorpusError)
    except FileNotFoundError as error:
        raise CorpusError(
            f"there is no corpus at {root}; check --corpus, the bucket's name and AWS_ENDPOINT_URL"
        ) from error
    return fs, path


def connect(uri: str, retry_policy: RetryPolicy = RetryPolicy()) -> tuple[Any, str]:
    """Return the file system (fsspec keeps one a store) and the path in it. Raises UsageError for unknown protocols.

    `fsspec.core.url_to_fs` would split a name with `::` as a chain of URLs.
    """
    protocol = protocol_of(uri)
    uri = uri if protocol == "file" else protocol + uri[len(protocol) :]
    try:
        kind = fsspec.get_filesystem_class(protocol)
        options = kind._get_kwargs_from_urls(uri)
        path = str(kind._strip_protocol(uri))
        if protocol in {"s3", "s3a"}:
            from features.corpus.s3_keys import S3Keys

            return S3Keys(**s3fs_options(retry_policy) | options), path
        return fsspec.filesystem(protocol, **options), to_disk_name(path) if protocol == "file" else path
    except (ValueError, ImportError) as error:
        raise UsageError(f"expected a path or a URL that fsspec knows; found {uri!r} ({error})") from error


def is_local(fs: Any) -> bool:
    """Tell whether a file system's paths are this machine's."""
    return "file" in _protocols(fs)


def paths_on(fs: Any, addresses: Iterable[str]) -> list[str]:
    """Return the paths of those addresses that are on this file system; a bucket of another store is another bucket."""
    own = [address for address in addresses if protocol_of(address) in _protocols(fs)]
    return [str(fs._strip_protocol(address)).rstrip("/") for address in own]


def _protocols(fs: Any) -> tuple[str, ...]:
    return fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)
