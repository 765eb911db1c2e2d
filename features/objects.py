"""An object's bytes: read patiently, held in memory or (large ones) in a file, and named by their digest."""

import atexit
import errno
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError

from data_contracts.errors import ComputeError
from data_contracts.reasons import Reason
from data_contracts.records import AudioObject
from features.audio import Reject
from features.corpus import connect, is_local

T = TypeVar("T")

LARGE = 32_000_000  # bytes: larger objects are held in a file
_CHUNK = 8_000_000
_TRIES = 3


@dataclass(frozen=True)
class Held:
    """An object that was read: `content` is its bytes or the file that they lie in; `close` takes that away."""

    content: bytes | Path
    sha256: str  # the first 32 hex digits: the recording_id
    is_ours: bool = False

    def close(self) -> None:
        if self.is_ours and isinstance(self.content, Path):
            self.content.unlink(missing_ok=True)


@contextmanager
def held(item: AudioObject) -> Iterator[Held | Reject]:
    """`hold`, and its end."""
    found = hold(item, read_object)
    try:
        yield found
    finally:
        if isinstance(found, Held):
            found.close()


_shared: dict[tuple[str, str], tuple[Held, int]] = {}  # and how many use it now
_lock = threading.Lock()


@contextmanager
def shared(item: AudioObject) -> Iterator[Held | Reject]:
    """As `held`, for tasks of this process that want the same object: a copy stays until another one is wanted."""
    found = _taken(item)
    try:
        yield found
    finally:
        with _lock:
            if (kept := _shared.get(_key(item))) and kept[0] is found:
                _shared[_key(item)] = (kept[0], kept[1] - 1)
            elif isinstance(found, Held):
                found.close()


def _taken(item: AudioObject) -> Held | Reject:
    """A copy that is here already, or the object; only copies are kept, files of others may change."""
    with _lock:
        kept = _shared.get(_key(item))
        if kept is None:
            _let_go()
            found = hold(item, read_object)
            if isinstance(found, Reject) or not found.is_ours:
                return found
            kept = (found, 0)
        _shared[_key(item)] = (kept[0], kept[1] + 1)
        return kept[0]


def _key(item: AudioObject) -> tuple[str, str]:
    return item.uri, item.etag


@atexit.register
def _let_go() -> None:
    for key in [key for key, (_, n_users) in _shared.items() if not n_users]:
        _shared.pop(key)[0].close()


def hold(item: AudioObject, read: Callable[[str], bytes]) -> Held | Reject:
    """Reads an object, three times at most where its store fails; what goes wrong for good becomes a Reject."""
    if item.bytes <= LARGE:
        data = patiently(lambda: read(item.uri))
        if isinstance(data, Reject):
            return data
        return _as_listed(item, Held(data, _name(hashlib.sha256(data))), len(data))
    fs, path = connect(item.uri)
    if is_local(fs):
        found = patiently(lambda: _digest(Path(path)))
        return found if isinstance(found, Reject) else _as_listed(item, Held(Path(path), found[0]), found[1])
    copied = patiently(lambda: _copy(fs, path))
    return copied if isinstance(copied, Reject) else _as_listed(item, copied[0], copied[1])


def read_object(uri: str) -> bytes:
    """The object's bytes, by any fsspec URL."""
    fs, path = connect(uri)
    return bytes(fs.cat_file(path))


def patiently(read: Callable[[], T]) -> T | Reject:
    """What `read` returns, after three tries at most; what its store refuses is a Reject."""
    wait_s = 0.2
    for attempt in range(1, _TRIES + 1):
        try:
            return read()
        except FileNotFoundError:
            return Reject(Reason.VANISHED, "listed, and not there any more when it was read")
        except PermissionError as error:
            return Reject(Reason.ACCESS_DENIED, f"{error or 'access denied'}; grant this run read access to it")
        except (OSError, BotoCoreError) as error:  # botocore's connection errors are no OSErrors
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:  # no fault of the file's
                raise ComputeError(
                    f"{tempfile.gettempdir()}: {error}: large objects are copied there; make room, or set TMPDIR"
                ) from error
            if attempt == _TRIES:
                return Reject(Reason.UNREADABLE, f"{type(error).__name__}: {error} (tried {_TRIES} times)")
            time.sleep(wait_s)
            wait_s *= 4
    raise AssertionError("unreachable: the last attempt returns")


def _as_listed(item: AudioObject, held: Held, n_bytes: int) -> Held | Reject:
    if n_bytes == item.bytes:
        return held
    held.close()
    return Reject(Reason.VANISHED, f"listed with {item.bytes} bytes, read {n_bytes}: it was overwritten")


def _digest(path: Path) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            n_bytes += len(chunk)
    return _name(digest), n_bytes


def _copy(fs: Any, path: str) -> tuple[Held, int]:
    """Into a file of ours, a chunk at a time."""
    digest, n_bytes = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(prefix="undertone-")
    copy = Path(name)
    try:
        with (
            os.fdopen(descriptor, "wb") as target,
            fs.open(path, "rb", block_size=_CHUNK, cache_type="readahead") as source,
        ):
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                n_bytes += len(chunk)
                target.write(chunk)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return Held(copy, _name(digest), is_ours=True), n_bytes


def _name(digest: Any) -> str:
    return str(digest.hexdigest()[:32])
