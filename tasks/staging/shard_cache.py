"""Cache of the shards whose features a worker process read last: a model makes several passes over them."""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Mapping

import polars as pl

MAX_SHARDS = 4

Key = tuple[str, str, dt.date, str]
"""Lake, run, date and shard."""
Frames = Mapping[str, pl.DataFrame]
"""A shard's rows by feature set."""


class ShardCache:
    """The frames of the last few shards; safe for the threads of a worker."""

    def __init__(self, max_shards: int = MAX_SHARDS) -> None:
        self._max_shards = max_shards
        self._shards: OrderedDict[Key, Frames] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._shards)

    def get(self, key: Key) -> Frames | None:
        with self._lock:
            return self._shards.get(key)

    def put(self, key: Key, frames: Frames) -> None:
        """Keep the frames as the newest; the oldest are dropped."""
        with self._lock:
            self._shards.pop(key, None)
            self._shards[key] = frames
            while len(self._shards) > self._max_shards:
                self._shards.popitem(last=False)
