"""Packing: every object once, nothing above the limit, and names that depend on the content alone."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts import lake as lakes
from data_contracts.records import AudioObject
from features.shards import pack, read_plan, shard_bytes, shard_id, write_plan

DAY = dt.date(2026, 11, 21)
NOW = dt.datetime(2026, 11, 21, 23, 59, 59, 123456, dt.UTC)


def _item(name: str, n_bytes: int = 1, etag: str = "e", tries: int = 0) -> AudioObject:
    return AudioObject(f"s3://corpus/{name}", etag, n_bytes, DAY, NOW, tries=tries)


objects = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 12), max_size=30).map(
    lambda sizes: [_item(name, size) for name, size in sizes.items()]
)


@given(objects, st.integers(1, 20))
def test_every_object_is_in_exactly_one_shard(items, most):
    members = [item for shard in pack(items, most_bytes=most) for item in shard]
    assert len(members) == len(items)
    assert set(members) == set(items)


@given(objects, st.integers(1, 20))
def test_none_is_above_the_limit_unless_alone_and_none_is_empty(items, most):
    for shard in pack(items, most_bytes=most):
        assert len(shard) == 1 or sum(item.bytes for item in shard) <= most
        assert shard


@given(objects, st.integers(1, 20), st.randoms())
def test_the_order_of_the_listing_does_not_matter(items, most, random):
    shuffled = random.sample(items, len(items))
    assert list(pack(shuffled, most_bytes=most)) == list(pack(items, most_bytes=most))


@given(objects, st.integers(1, 20), st.randoms())
def test_an_id_is_that_of_the_members_and_the_version(items, most, random):
    ids = [shard_id(shard, "v1") for shard in pack(items, most_bytes=most)]
    assert len(ids) == len(set(ids))
    assert ids == [shard_id(random.sample(shard, len(shard)), "v1") for shard in pack(items, most_bytes=most)]
    assert not set(ids) & {shard_id(shard, "v2") for shard in pack(items, most_bytes=most)}


@pytest.mark.parametrize("other", [_item("b"), _item("a", etag="f"), _item("a", tries=1)])
def test_another_member_another_id(other):
    """Another try is another file: the failed one stays, and says how often it was tried."""
    assert shard_id([_item("a")], "v") != shard_id([other], "v")


def test_an_id_is_the_same_on_every_machine():
    assert shard_id([_item("a"), _item("b")], "v1") == "6ceeb8269edaf10a"


@given(objects, objects, st.integers(1, 20))
def test_new_files_never_change_the_ids_of_packed_ones(before, after, most):
    """What the store holds is left out of the plan, so that late files make shards of their own."""
    first = {shard_id(shard, "v"): shard for shard in pack(before, most_bytes=most)}
    held = {item.uri for item in before}
    late = [item for item in after if item.uri not in held]
    second = {shard_id(shard, "v"): shard for shard in pack(late, most_bytes=most)}
    assert not first.keys() & second.keys()
    assert {item for shard in (first | second).values() for item in shard} == {*before, *late}


@pytest.mark.parametrize(
    ("total", "n_workers", "most", "expected"),
    [
        (10**12, 8, 256_000_000, 256_000_000),
        (60_000_000, 2, 256_000_000, 10_000_000),  # three shards a worker
        (1_000, 8, 256_000_000, 4_000_000),  # a small night is not cut to crumbs
        (10**12, 8, 1_000, 1_000),  # who asks for less gets less
        (0, 0, 256_000_000, 4_000_000),
    ],
)
def test_the_size_aimed_at(total, n_workers, most, expected):
    assert shard_bytes(total, n_workers=n_workers, most=most) == expected


def test_a_plan_is_read_as_it_was_written(tmp_path):
    lake = lakes.open(str(tmp_path / "lake"))
    members = [
        AudioObject("s3://corpus/é b%2F+.wav", "e-1", 2**40, DAY, NOW, '{"agent": "Zoë"}', 2),
        AudioObject("/corpus/new\nline.wav", "e-2", 0, DAY, NOW),
    ]
    ref = write_plan(lake, "staging/run=1/plan", members, shard="0f")
    assert (ref.id, ref.date, ref.n_objects, ref.n_bytes) == ("0f", DAY, 2, 2**40)
    assert ref.plan == "staging/run=1/plan/date=2026-11-21/0f.parquet"
    assert read_plan(lake, ref) == members
