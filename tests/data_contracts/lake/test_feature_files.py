"""A shard counts once: beside its pack, in two packs, or after a packer died on its way."""

import datetime as dt

import polars as pl
import pyarrow as pa
import pytest
from helpers.small_lake import write_segments

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.feature_files import feature_files
from features.store import shard_files
from features.store.compaction import compact
from flows.analytics.sql import query

DAY = dt.date(2026, 11, 21)
SHARDS = ("0a", "0b", "0c", "0d")
QUERY = "SELECT recording_id, segment, level_db FROM segments ORDER BY ALL NULLS LAST"


@pytest.fixture
def lake(lake_anywhere) -> Lake:
    for place, shard in enumerate(SHARDS):
        write_segments(lake_anywhere, DAY, shard, n_rows=place)  # one has no rows, and no row group in a pack
    return lake_anywhere


def _scan_both(lake: Lake) -> list[tuple]:
    """Scan by Polars and check that DuckDB reads the same rows."""
    rows = lake.scan("segments").select("recording_id", "segment", "level_db").collect()
    assert query(lake, QUERY).to_pylist() == rows.sort(pl.all(), nulls_last=True).to_dicts()
    return rows.rows()


def test_a_shard_counts_once_loose_packed_and_meanwhile(lake):
    before = sorted(_scan_both(lake))
    assert len(before) == 0 + 1 + 2 + 3
    loose = {path: lake.read(path) for path in lake.sizes("features/segments")}
    compact(lake, "v1", DAY)
    assert sorted(_scan_both(lake)) == before
    for path, data in loose.items():  # a packer that died before it took the loose files away, one by one
        lake.write(path, data)
        assert sorted(_scan_both(lake)) == before
    assert any(file.hidden for file in feature_files(lake, "segments"))


def test_a_rewritten_shard_replaces_its_copy_in_the_pack(lake):
    compact(lake, "v1", DAY)
    write_segments(lake, DAY, "0c", n_rows=2, level_db=-6.0)
    assert {level for shard, _, level in _scan_both(lake) if shard == "0c"} == {-6.0}
    assert len(_scan_both(lake)) == 0 + 1 + 2 + 3


def test_a_shard_in_two_packs_counts_once(lake):
    """A packer that died before it took the pack away that its own replaced."""
    before = sorted(_scan_both(lake))
    compact(lake, "v1", DAY)
    (old,) = lake.sizes("features/segments")
    data = lake.read(old)
    write_segments(lake, DAY, "0e", n_rows=0)
    compact(lake, "v1", DAY)
    assert old not in lake.sizes("features/segments")
    lake.write(old, data)
    assert len(lake.sizes("features/segments")) == 2
    assert sorted(_scan_both(lake)) == before


def test_a_missing_column_of_an_earlier_version_is_null(lake):
    """A feature version of before it: what is asked does not end in a reader's error, whichever file comes first."""
    old = lake.read_parquet(shard_files.path("segments", "v1", DAY, "0d")).drop_columns("level_db")
    for version in ("a0", "z0"):
        lake.write_parquet(shard_files.path("segments", version, DAY, "0d"), old)
    assert [level for _, _, level in _scan_both(lake)].count(None) == 6


def test_encoders_of_two_sizes(lake):
    """After a new speaker model the store holds both: once neither reader would have any of them."""
    other = lake.read_parquet(shard_files.path("embeddings", "v1", DAY, "0d")).drop_columns("embedding")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.25] * 2 * 3, pa.float16()), 2)
    lake.write_parquet(shard_files.path("embeddings", "v2", DAY, "0d"), other.append_column("embedding", vectors))
    sizes = [2] * 3 + [4] * 6
    assert sorted(len(vector) for vector in lake.scan("embeddings").collect()["embedding"]) == sizes
    asked = query(lake, "SELECT len(embedding) AS n, embedding[1] AS first FROM embeddings ORDER BY n")
    assert asked["n"].to_pylist() == sizes
    assert set(asked["first"].to_pylist()) == {0.25, 0.5}


def test_an_empty_feature_set_is_a_usage_error(lake):
    with pytest.raises(UsageError, match="features/egemaps holds nothing yet"):
        feature_files(lake, "egemaps")
    with pytest.raises(UsageError, match="features/egemaps holds nothing yet"):
        query(lake, "SELECT * FROM egemaps")
    assert query(lake, "SELECT count(*) AS egemaps FROM segments")["egemaps"].to_pylist() == [6], "only a word"
