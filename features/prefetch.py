"""Reading ahead: many objects in flight, bounded in number and in bytes, handed on in order."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from botocore.exceptions import BotoCoreError

from data_contracts.reasons import Reason
from data_contracts.records import AudioObject
from features.audio import AudioConfig, Decoded, Reject, decode
from features.corpus import connect

_TRIES = 3
_BYTES_IN_FLIGHT = 64_000_000


@dataclass(frozen=True)
class Fetched:
    """An object's content: the digest of its bytes (None where they could not be read) and what they decoded to."""

    item: AudioObject
    sha256: str | None
    audio: Decoded | Reject


def fetch_ahead(
    items: Iterable[AudioObject],
    *,
    config: AudioConfig,
    n_readers: int = 16,
    read: Callable[[str], bytes] | None = None,
) -> Iterator[Fetched]:
    """Reads and decodes in `n_readers` threads, at most twice as many objects or 64 MB ahead; yields in order."""
    waiting: deque[tuple[int, Future[Fetched]]] = deque()
    in_flight = 0
    with ThreadPoolExecutor(n_readers, thread_name_prefix="read") as pool:
        for item in items:
            while waiting and (len(waiting) >= 2 * n_readers or in_flight + item.bytes > _BYTES_IN_FLIGHT):
                n_bytes, done = waiting.popleft()
                in_flight -= n_bytes
                yield done.result()
            waiting.append((item.bytes, pool.submit(fetch, item, config=config, read=read or read_object)))
            in_flight += item.bytes
        while waiting:
            yield waiting.popleft()[1].result()


def fetch(item: AudioObject, *, config: AudioConfig, read: Callable[[str], bytes]) -> Fetched:
    """Reads and decodes one object; what goes wrong becomes a Reject."""
    data = _read_patiently(item, read)
    if isinstance(data, Reject):
        return Fetched(item, None, data)
    return Fetched(item, sha256(data).hexdigest()[:32], decode(data, config=config))


def read_object(uri: str) -> bytes:
    """The object's bytes, by any fsspec URL."""
    fs, path = connect(uri)
    return bytes(fs.cat_file(path))


def _read_patiently(item: AudioObject, read: Callable[[str], bytes]) -> bytes | Reject:
    wait_s = 0.2
    for attempt in range(1, _TRIES + 1):
        try:
            data = read(item.uri)
        except FileNotFoundError:
            return Reject(Reason.VANISHED, "listed, and not there any more when it was read")
        except PermissionError as error:
            return Reject(Reason.ACCESS_DENIED, f"{error or 'access denied'}; grant this run read access to it")
        except (OSError, BotoCoreError) as error:  # botocore's connection errors are no OSErrors
            if attempt == _TRIES:
                return Reject(Reason.UNREADABLE, f"{type(error).__name__}: {error} (tried {_TRIES} times)")
            time.sleep(wait_s)
            wait_s *= 4
        else:
            if len(data) != item.bytes:
                return Reject(Reason.VANISHED, f"listed with {item.bytes} bytes, read {len(data)}: it was overwritten")
            return data
    raise AssertionError("unreachable: the last attempt returns")
