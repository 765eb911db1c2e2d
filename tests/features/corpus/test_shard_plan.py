"""Shard plans: every object once, no shard above the limit, names by content alone."""

import datetime as dt
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records import AudioObject
from features.corpus import object_frames
from features.corpus.object_frames import OBJECT_KEY
from features.corpus.shard_plan import read_plan, shard_bytes, shard_ends, shard_id, shard_ids, split_shards, write_plan

DAY = dt.date(2026, 11, 21)
NOW = dt.datetime(2026, 11, 21, 23, 59, 59, 123456, dt.UTC)


def _item(name: str, n_bytes: int = 1, etag: str = "e", tries: int = 0) -> AudioObject:
    return AudioObject(f"s3://corpus/{name}", etag, n_bytes, DAY, NOW, tries=tries)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
objects = st.dictionaries(names, st.integers(0, 12), max_size=30).map(
    lambda sizes: [_item(name, size) for name, size in sizes.items()]
)


def _pack_date(items: list[AudioObject], most: int) -> list[list[AudioObject]]:
    """Split a date of one part into shards."""
    found = []
    for part, ends in split_shards([object_frames.from_objects(items).sort(OBJECT_KEY)], max_bytes=most):
        members = list(object_frames.to_objects(part))
        found += [members[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return found


def _pack_one_by_one(sizes: list[int], most: int) -> list[int]:
    """Pack object by object, as the definition says."""
    ends, n_objects, n_bytes = [], 0, 0
    for place, size in enumerate(sizes):
        if n_objects and n_bytes + size > most:
            ends.append(place)
            n_objects = n_bytes = 0
        n_objects, n_bytes = n_objects + 1, n_bytes + size
    return [*ends, len(sizes)] if sizes else []


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 20))
def test_packing_is_that_of_one_object_after_the_other(sizes, most):
    assert shard_ends(np.array(sizes, np.int64), max_bytes=most).tolist() == _pack_one_by_one(sizes, most)


@given(objects, st.integers(1, 20), st.lists(st.integers(0, 30), max_size=4))
def test_the_parts_that_a_date_comes_in_do_not_matter(items, most, cuts):
    """A shard may begin in one part and go on in the next."""
    whole = object_frames.from_objects(items).sort(OBJECT_KEY)
    bounds = [0, *sorted(min(cut, whole.height) for cut in cuts), whole.height]
    parts = [whole[start:end] for start, end in itertools.pairwise(bounds) if end > start]
    found = [part["uri"].to_list() for part in _shards(split_shards(parts, max_bytes=most))]
    assert found == [[item.uri for item in shard] for shard in _pack_date(items, most)]


def _shards(found):
    for part, ends in found:
        yield from (part[int(start) : int(end)] for start, end in itertools.pairwise([0, *ends]))


@given(objects, st.integers(1, 20))
def test_every_object_is_in_exactly_one_shard(items, most):
    members = [item for shard in _pack_date(items, most) for item in shard]
    assert len(members) == len(items)
    assert set(members) == set(items)


@given(objects, st.integers(1, 20))
def test_none_is_above_the_limit_unless_alone_and_none_is_empty(items, most):
    for shard in _pack_date(items, most):
        assert len(shard) == 1 or sum(item.bytes for item in shard) <= most
        assert shard


@given(objects, st.integers(1, 20), st.randoms())
def test_the_order_of_the_listing_does_not_matter(items, most, random):
    shuffled = random.sample(items, len(items))
    assert _pack_date(shuffled, most) == _pack_date(items, most)


@given(objects, st.integers(1, 20), st.randoms())
def test_an_id_is_that_of_the_members_and_the_version(items, most, random):
    shards = _pack_date(items, most)
    ids = [
        name
        for part in split_shards([object_frames.from_objects(items).sort(OBJECT_KEY)], max_bytes=most)
        for name in shard_ids(*part, "v1")
    ]
    assert len(ids) == len(set(ids))
    assert ids == [shard_id(random.sample(shard, len(shard)), "v1") for shard in shards]
    assert not set(ids) & {shard_id(shard, "v2") for shard in shards}


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), (("a1:b", "c"), ("a", "1:bc")), (("é", ""), ("", "é"))]
)
def test_members_with_equal_concatenations_have_other_ids(one, other):
    assert shard_id([_item(one[0], etag=one[1])], "v") != shard_id([_item(other[0], etag=other[1])], "v")


@pytest.mark.parametrize("other", [_item("b"), _item("a", etag="f"), _item("a", tries=1)])
def test_another_member_another_id(other):
    """Another try is another file: the failed one stays, and says how often it was tried."""
    assert shard_id([_item("a")], "v") != shard_id([other], "v")


def test_an_id_is_the_same_on_every_machine():
    assert shard_id([_item("a"), _item("b")], "v1") == "aaf289f4ae90f29b"


@given(objects, objects, st.integers(1, 20))
def test_new_files_never_change_the_ids_of_packed_ones(before, after, most):
    """Stored objects are left out of the plan, so that late files make shards of their own."""
    first = {shard_id(shard, "v"): shard for shard in _pack_date(before, most)}
    held = {item.uri for item in before}
    late = [item for item in after if item.uri not in held]
    second = {shard_id(shard, "v"): shard for shard in _pack_date(late, most)}
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
def test_the_target_size(total, n_workers, most, expected):
    assert shard_bytes(total, n_workers=n_workers, max_bytes=most) == expected


def test_a_plan_is_read_as_it_was_written(lake):
    members = [
        AudioObject("s3://corpus/é b%2F+.wav", "e-1", 2**40, DAY, NOW, '{"agent": "Zoë"}', 2),
        AudioObject("/corpus/new\nline.wav", "e-2", 0, DAY, NOW),
    ]
    ref = write_plan(lake, "staging/run=1/plan", members, shard="0f")
    assert (ref.id, ref.date, ref.n_objects, ref.n_bytes) == ("0f", DAY, 2, 2**40)
    assert ref.plan == "staging/run=1/plan/date=2026-11-21/0f.parquet"
    assert read_plan(lake, ref) == members
