"""Copies of objects that several tasks of one process read: of a long recording, each its own stretch of time."""

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
    """Held objects with the number of their users. A copy stays until no task uses it and another object is wanted.

    Only copies are kept: a file of somebody else's may change.
    """

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[FetchedObject, int]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def fetch(self, item: AudioObject, retry_policy: RetryPolicy) -> Iterator[FetchedObject | Reject]:
        """`objects.fetch`, by way of the cache."""
        found, key = self._acquire(item, retry_policy), _key(item)
        try:
            yield found
        finally:
            with self._lock:
                if (kept := self._kept.get(key)) and kept[0] is found:
                    self._kept[key] = (kept[0], kept[1] - 1)
                elif isinstance(found, FetchedObject):
                    found.close()

    def evict_unused(self) -> None:
        """Closes the copies that no task uses."""
        for key in [key for key, (_, n_users) in self._kept.items() if not n_users]:
            self._kept.pop(key)[0].close()

    def _acquire(self, item: AudioObject, retry_policy: RetryPolicy) -> FetchedObject | Reject:
        with self._lock:  # while the object is read, too: others that want the same one wait for it
            kept = self._kept.get(_key(item))
            if kept is None:
                self.evict_unused()
                found = fetch(item, partial(read_object, retry_policy=retry_policy), retry_policy)
                if isinstance(found, Reject) or not found.is_temporary:
                    return found
                kept = (found, 0)
            self._kept[_key(item)] = (kept[0], kept[1] + 1)
            return kept[0]


_process_cache = ObjectCache()
atexit.register(_process_cache.evict_unused)


def fetch_shared(
    item: AudioObject, retry_policy: RetryPolicy = RetryPolicy()
) -> AbstractContextManager[FetchedObject | Reject]:
    """`objects.fetch`, for tasks of this process that want the same object."""
    return _process_cache.fetch(item, retry_policy)


def _key(item: AudioObject) -> _Key:
    return item.uri, item.etag
