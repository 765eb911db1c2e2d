"""Fetching of objects: with retries, into memory or (large ones) a file, named by the digest of their bytes.

The result is the content that was listed, by its etag, or a Reject. A store that does not answer rejects no object.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data_contracts.errors import ComputeError, CorpusError, TransientError
from data_contracts.object_store.error_translation import BUSY, error_code, is_archived, is_disk_full, translate_errors
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from data_contracts.rejects import Reason, Reject
from features.corpus.filesystem import FOLDER, connect, is_local, stat_object
from features.corpus.unlisted_folders import UNLISTED, look_into

T = TypeVar("T")

LARGE_BYTES = 32_000_000  # larger objects are copied to a file
_CHUNK_BYTES = 8_000_000
_MAX_TRIES = 6  # failures of one object while the store answers others
_MISSING_ETAG = "missing"  # of an object that a manifest names and the store did not have


@dataclass(frozen=True)
class FetchedObject:
    """A fetched object: `content` is its bytes or their file, which `close` removes where it is temporary."""

    content: bytes | Path
    sha256: str  # the first 32 hex digits: the recording_id
    is_temporary: bool = False

    def close(self) -> None:
        if self.is_temporary and isinstance(self.content, Path):
            self.content.unlink(missing_ok=True)


class Overwritten(Exception):  # noqa: N818 - it says what happened
    """The content under a URI is not the one that was listed."""


def fetch(item: AudioObject, read: Callable[[str, str], bytes], retry_policy: RetryPolicy) -> FetchedObject | Reject:
    """Fetch an object; a permanent failure becomes a Reject.

    Raises TransientError where its store does not answer within `retry_policy`, and CredentialsError.
    """
    if item.etag in {UNLISTED, FOLDER}:
        return _reject_folder(item, retry_policy)
    if item.bytes <= LARGE_BYTES:
        data = fetch_or_reject(item.uri, lambda: read(item.uri, item.etag), retry_policy)
        if isinstance(data, Reject):
            return data
        return _reject_other_size(item, FetchedObject(data, _recording_id(hashlib.sha256(data))), len(data))
    fs, path = connect(item.uri, retry_policy)
    if is_local(fs):
        found = fetch_or_reject(item.uri, lambda: _digest(item.uri, Path(path), item.etag), retry_policy)
        if isinstance(found, Reject):
            return found
        return _reject_other_size(item, FetchedObject(Path(path), found[0]), found[1])
    copied = fetch_or_reject(item.uri, lambda: _copy(fs, path, item), retry_policy)
    return copied if isinstance(copied, Reject) else _reject_other_size(item, copied[0], copied[1])


def read_object(uri: str, etag: str | None = None, retry_policy: RetryPolicy = RetryPolicy()) -> bytes:
    """Read an object's bytes once, by any fsspec URL. Raises Overwritten where they are not those of `etag`."""
    fs, path = connect(uri, retry_policy)
    if hasattr(fs, "content"):
        data, found = fs.content(path)
        _require_etag(etag, found)
        return bytes(data)
    data = bytes(fs.cat_file(path))
    _require_current_etag(uri, etag)
    return data


def fetch_or_reject(uri: str, read: Callable[[], T], retry_policy: RetryPolicy) -> T | Reject:
    """Return the result of `read`, retried; a Reject where the store refuses the object, or fails at it alone."""
    n_failed, last = 0, Exception()
    for _ in retry_policy.attempts():
        try:
            with translate_errors(f"reading {uri}", CorpusError):
                return read()
        except FileNotFoundError:
            return Reject(Reason.VANISHED, "listed, and not there any more when it was read")
        except Overwritten:
            return Reject(Reason.VANISHED, "listed with another content than it was read with: it was overwritten")
        except (CorpusError, TransientError) as error:
            last, cause = error, error.__cause__
        if is_disk_full(cause):  # no fault of the file's
            raise ComputeError(
                f"{tempfile.gettempdir()}: {cause}: large objects are copied there; make room, or set TMPDIR"
            ) from last
        if (refusal := _refusal(cause)) is not None:
            return refusal
        is_file_fault = error_code(cause) not in BUSY and _store_answers(uri, retry_policy)
        n_failed += is_file_fault
        if n_failed == _MAX_TRIES:
            return Reject(Reason.UNREADABLE, f"{type(cause).__name__}: {cause} (tried {_MAX_TRIES} times)")
    raise TransientError(
        f"{last}; its store did not answer for {retry_policy.total_s:.0f} s: run again when it does"
    ) from last


def _refusal(cause: BaseException | None) -> Reject | None:
    """Return the reject of an object that its store or file system does not hand over; None for other errors."""
    if is_archived(cause):
        return Reject(Reason.ARCHIVED, f"{cause}; restore it from the archive: it is read by the first run after that")
    if isinstance(cause, PermissionError):
        return Reject(Reason.ACCESS_DENIED, f"{cause or 'access denied'}; grant this run read access to it")
    if getattr(cause, "errno", None) == errno.ELOOP:
        return Reject(Reason.LOOP, f"{cause}: a link that leads to itself; take it out, or let it lead to a file")
    return None


def _reject_folder(item: AudioObject, retry_policy: RetryPolicy) -> Reject:
    """Reject a folder for what hinders a look into it, or for being one."""
    fs, path = connect(item.uri, retry_policy)
    found = fetch_or_reject(item.uri, lambda: look_into(fs, path), retry_policy)
    if isinstance(found, Reject):
        return found
    if item.etag == UNLISTED:
        return Reject(Reason.VANISHED, "a folder that could not be listed, and can be now: its files are listed again")
    return Reject(Reason.NOT_AUDIO, "expected a file, found a folder; name its files, or list it with --corpus")


def _store_answers(uri: str, retry_policy: RetryPolicy) -> bool:
    """Tell whether the store answers at all, if only with a refusal."""
    fs, path = connect(uri, retry_policy)
    if is_local(fs):
        return True
    try:
        with translate_errors(f"asking for the folder of {uri}", CorpusError):
            fs.info(fs._parent(path))
    except (FileNotFoundError, CorpusError):
        return True
    except TransientError:
        return False
    return True


def _require_etag(listed: str | None, found: str) -> None:
    if listed not in (None, _MISSING_ETAG, found):
        raise Overwritten


def _require_current_etag(uri: str, etag: str | None) -> None:
    """Check the etag again after reading, for stores that return bytes without it."""
    if etag is not None:
        _require_etag(etag, stat_object(uri, None).etag)


def _reject_other_size(item: AudioObject, fetched: FetchedObject, n_bytes: int) -> FetchedObject | Reject:
    if n_bytes == item.bytes:
        return fetched
    fetched.close()
    return Reject(Reason.VANISHED, f"listed with {item.bytes} bytes, read {n_bytes}: it was overwritten")


def _digest(uri: str, path: Path, etag: str) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            n_bytes += len(chunk)
    _require_current_etag(uri, etag)
    return _recording_id(digest), n_bytes


def _copy(fs: Any, path: str, item: AudioObject) -> tuple[FetchedObject, int]:
    """Copy an object into a temporary file, a chunk at a time."""
    digest, n_bytes = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(prefix="undertone-")
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            for chunk in _chunks(fs, path, item):
                digest.update(chunk)
                n_bytes += len(chunk)
                target.write(chunk)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return FetchedObject(copy, _recording_id(digest), is_temporary=True), n_bytes


def _chunks(fs: Any, path: str, item: AudioObject) -> Iterator[bytes]:
    """Yield the chunks of the content that was listed. Raises Overwritten where it is another."""
    if hasattr(fs, "content"):
        for start in range(0, item.bytes, _CHUNK_BYTES):
            try:
                data, found = fs.content(path, start, min(start + _CHUNK_BYTES, item.bytes))
            except OSError as error:
                if error_code(error) == "InvalidRange":
                    raise Overwritten from error
                raise
            _require_etag(item.etag, found)
            yield data
        return
    with fs.open(path, "rb", block_size=_CHUNK_BYTES, cache_type="readahead") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
    _require_current_etag(item.uri, item.etag)


def _recording_id(digest: Any) -> str:
    return str(digest.hexdigest()[:32])
