"""Cache of fetched objects for tasks of one process that read the same long recording, each its own stretch."""

import atexit
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from data_contracts.rejects import Reject
from features.corpus.objects import FetchedObject, fetch, read_object

_Key = tuple[str, str]  # (uri, etag)


class ObjectCache:
    """Fetched objects with the number of their users. A copy stays until no task uses it and another is fetched.

    Only own copies are cached: somebody else's file may change.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, tuple[FetchedObject, int]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def fetch(self, item: AudioObject, retry_policy: RetryPolicy) -> Iterator[FetchedObject | Reject]:
        """Fetch an object through the cache; it stays valid inside the context."""
        found, key = self._acquire(item, retry_policy), _key(item)
        try:
            yield found
        finally:
            with self._lock:
                if (entry := self._entries.get(key)) and entry[0] is found:
                    self._entries[key] = (entry[0], entry[1] - 1)
                elif isinstance(found, FetchedObject):
                    found.close()

    def evict_unused(self) -> None:
        """Close the copies that no task uses."""
        for key in [key for key, (_, n_users) in self._entries.items() if not n_users]:
            self._entries.pop(key)[0].close()

    def _acquire(self, item: AudioObject, retry_policy: RetryPolicy) -> FetchedObject | Reject:
        with self._lock:  # while the object is read, too: others that want the same one wait for it
            entry = self._entries.get(_key(item))
            if entry is None:
                self.evict_unused()
                found = fetch(item, partial(read_object, retry_policy=retry_policy), retry_policy)
                if isinstance(found, Reject) or not found.is_temporary:
                    return found
                entry = (found, 0)
            self._entries[_key(item)] = (entry[0], entry[1] + 1)
            return entry[0]


_process_cache = ObjectCache()
atexit.register(_process_cache.evict_unused)


def fetch_shared(
    item: AudioObject, retry_policy: RetryPolicy = RetryPolicy()
) -> AbstractContextManager[FetchedObject | Reject]:
    """Fetch an object once for all tasks of this process that ask for it at the same time."""
    return _process_cache.fetch(item, retry_policy)


def _key(item: AudioObject) -> _Key:
    return item.uri, item.etag
