"""The cache keeps the newest shards, and drops the oldest beyond its size."""

import datetime as dt

import polars as pl

from tasks.staging.shard_cache import ShardCache


def test_the_oldest_shard_is_dropped():
    cache, keys = ShardCache(max_shards=2), [("lake", "run", dt.date(2026, 11, 21), shard) for shard in "abc"]
    for key in (keys[0], keys[1], keys[0], keys[2]):  # "a" twice: it is newer than "b" then
        cache.put(key, {"segments": pl.DataFrame({"shard": [key[-1]]})})
    assert len(cache) == 2
    assert cache.get(keys[1]) is None
    assert [cache.get(key)["segments"]["shard"][0] for key in (keys[0], keys[2])] == ["a", "c"]
