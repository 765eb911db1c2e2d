"""Damage of a date's shards, found by listings alone: loose, packed and in between."""

import pytest
from helpers.packed_store import DAY, SETS, files_of, write_shard

from data_contracts.lake import Lake
from data_contracts.lake.pack_index import read_footer
from features.store import shard_files
from features.store.compaction import compact
from features.store.completeness import expected_sets, find_damage, find_damage_on


@pytest.fixture
def lake(lake_anywhere) -> Lake:
    for place in range(3):
        write_shard(lake_anywhere, f"0{place}")
    return lake_anywhere


def _damage(lake: Lake):
    return find_damage(lake, "v1", DAY, expected_sets(lake, "v1"))


def _only(lake: Lake, feature_set: str) -> str:
    (name,) = files_of(lake, feature_set)
    return f"{shard_files.folder(feature_set, 'v1', DAY)}/{name}"


def test_nothing_is_missing_loose_packed_or_half_packed(lake):
    assert find_damage_on(lake, "v1", [DAY]) == {}
    compact(lake, "v1", DAY)
    assert find_damage_on(lake, "v1", [DAY]) == {}
    write_shard(lake, "03")
    write_shard(lake, "01")
    assert find_damage_on(lake, "v1", [DAY]) == {}


def test_a_shard_that_is_being_written_is_not_damaged(lake):
    for feature_set in SETS:
        lake.remove(shard_files.path("recordings", "v1", DAY, "01"))
        assert _damage(lake).paths == []
        lake.remove(shard_files.path(feature_set, "v1", DAY, "01"))
    assert _damage(lake).paths == []


@pytest.mark.parametrize("feature_set", SETS[:-1])
def test_a_loose_file_is_gone_or_empty(feature_set, lake):
    path = shard_files.path(feature_set, "v1", DAY, "01")
    lake.remove(path)
    assert _damage(lake).missing == {"01": [path]}
    lake.write(path, b"")
    assert (_damage(lake).missing, _damage(lake).unreadable) == ({"01": [path]}, [path])


def test_a_set_is_gone(lake):
    lake.remove("features/egemaps")
    assert list(_damage(lake).missing) == ["00", "01", "02"]


def test_a_pack_is_gone_or_cut(lake):
    compact(lake, "v1", DAY)
    write_shard(lake, "01")  # loose beside the pack: nothing is lost of it
    (pack,) = [name for name in files_of(lake, "egemaps") if name.startswith("pack-")]
    path = f"{shard_files.folder('egemaps', 'v1', DAY)}/{pack}"
    data = lake.read(path)
    lake.write(path, data[:-20])
    read_footer.cache_clear()
    assert (list(_damage(lake).missing), _damage(lake).unreadable) == (["00", "02"], [path])
    lake.remove(path)
    assert list(_damage(lake).missing) == ["00", "02"]


def test_unreadable_recordings_are_told_apart(lake):
    compact(lake, "v1", DAY)
    lake.write(path := _only(lake, "recordings"), b"nothing")
    assert _damage(lake).unreadable_recordings == [path]


def test_a_shard_of_which_all_was_read_again_is_not_needed(lake):
    write_shard(lake, "0f", tries=2, uri="01")
    lake.remove(shard_files.path("egemaps", "v1", DAY, "01"))
    assert _damage(lake).paths == []
