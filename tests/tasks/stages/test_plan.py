"""Stage 2: the discovered objects in shards, however they are divided into parts."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from helpers.runs import make_run

from data_contracts.records import AudioObject
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from features.corpus import object_frames
from features.corpus.shard_plan import read_plan, shard_id
from features.store import shard_files
from tasks.stages.plan import plan
from tasks.staging.found_objects import Discovery, FoundWriter, read_found

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def _found(run: Any, *parts: str, date: dt.date = DAY, etag: str = "e") -> Discovery:
    """Write objects of a byte each, named by a letter."""
    writer = FoundWriter(run)
    for part in parts:
        writer.write(date, object_frames.from_objects(AudioObject(name, etag, 1, date, NOON) for name in part))
    return Discovery(0, 0, writer.parts, writer.n_bytes)


def _planned(run: Any, found: Discovery) -> list[str]:
    return ["".join(item.uri for item in read_plan(run.lake, ref)) for ref in plan.fn(run, found, n_workers=1)]


def test_shards_continue_across_parts(lake):
    run = make_run(lake, shard_bytes=3)
    assert _planned(run, _found(run, "abcde", "f", "gh")) == ["abc", "def", "gh"]


@pytest.mark.parametrize("parts", [("adg", "beh", "cf"), ("gh", "abcdef"), ("abcd", "defgh")])
def test_unsorted_parts_are_sorted(lake, parts):
    """A manifest may list objects in any order, and one twice; it is planned once."""
    run = make_run(lake, shard_bytes=3)
    found = _found(run, *parts)
    assert _planned(run, found) == ["abc", "def", "gh"]
    assert len(list(read_found(run, found, DAY))) == 1


def test_the_last_row_of_a_content_counts(lake):
    run = make_run(lake, shard_bytes=3)
    writer = FoundWriter(run)
    twice = [AudioObject("a", "e", 1, DAY, NOON, attributes) for attributes in ('"first"', '"last"')]
    writer.write(DAY, object_frames.from_objects(twice))
    (ref,) = plan.fn(run, Discovery(2, 0, writer.parts, writer.n_bytes), n_workers=1)
    assert [item.attributes for item in read_plan(lake, ref)] == ['"last"']
    assert writer.n_bytes == ref.n_bytes == 1


def test_a_reference_has_counts_and_the_path_of_its_plan(lake):
    run = make_run(lake, shard_bytes=3)
    (ref,) = plan.fn(run, _found(run, "ab", date=OTHER), n_workers=1)
    members = [AudioObject(name, "e", 1, OTHER, NOON) for name in "ba"]
    assert (ref.id, ref.date, ref.n_objects, ref.n_bytes) == (shard_id(members, "v1"), OTHER, 2, 2)
    assert ref.plan == f"staging/run=r1/plan/date=2026-11-22/{ref.id}.parquet"


def test_no_objects_give_no_shards(lake):
    run = make_run(lake, shard_bytes=3)
    assert _planned(run, _found(run)) == []


def test_a_forced_run_rewrites_complete_shards_and_packs_the_rest(lake):
    """A member of shard 0b is gone from the corpus: the rest of it is packed with new objects."""
    for shard, names in (("0a", "adz"), ("0b", "bc")):
        told = {"etag": "e", "bytes": 1, "modified": NOON, "tries": 1, "read_at": NOON, "status": "ok"}
        table = pa.Table.from_pylist([{"uri": name, **told} for name in names], schema=RECORDING_FEATURES)
        shard_files.write_shard(lake, {"recordings": table}, version="v1", date=DAY, shard=shard, configuration="")
    run = make_run(lake, shard_bytes=3, force=True)
    refs = plan.fn(run, _found(run, "acd", "exyz"), n_workers=1)
    held = {ref.id: "".join(item.uri for item in read_plan(lake, ref)) for ref in refs}
    assert held.pop("0a") == "adz"
    assert sorted(held.values()) == ["cex", "y"]
