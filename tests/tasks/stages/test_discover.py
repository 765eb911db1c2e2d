"""Stage 1: the objects to read, and the earlier reads that their `read_at` must follow."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.runs import make_run
from helpers.small_lake import no_utterances
from hypothesis import given
from hypothesis import strategies as st

import tasks.staging.date_spool
from data_contracts.lake import Lake
from data_contracts.records import AudioObject
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from data_contracts.schema.tables import RECORDINGS
from features.corpus import object_frames
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.corpus.object_frames import LISTING_SCHEMA
from features.extraction.tables import object_columns
from features.store import history as store_history
from features.store import shard_files
from tasks.stages.discover import discover
from tasks.staging.found_objects import Discovery, FoundWriter, read_found
from tasks.staging.unread_objects import select_unread

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
NEXT_YEAR = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
VERSIONS = dict.fromkeys(["emotion_model", "speaker_model", "feature_version", "run_id"], "v1")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Three files, last changed on their day."""
    for name in ("2026/11/21/a", "2026/11/21/b", "2026/11/22/c"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    return Corpus(str(tmp_path / "corpus"))


def _read(lake: Lake, date: dt.date, **rows: dict[str, Any]) -> None:
    """Write rows into the store, a shard each, named by its file."""
    for name, row in rows.items():
        told = {"etag": "e", "bytes": 1, "modified": NOON, "tries": 1, "status": "ok", "read_at": NOON} | row
        tables = no_utterances() | {"recordings": pa.Table.from_pylist([told], schema=RECORDING_FEATURES)}
        shard_files.write_shard(lake, tables, version="v1", date=date, shard=name, configuration="")


def _planned(run: Any, found: Discovery, *dates: dt.date) -> dict[str, dict[str, Any]]:
    frames = [frame for date in dates for frame in read_found(run, found, date)]
    return {row["uri"][-1]: row for frame in frames for row in frame.iter_rows(named=True)}


def test_a_new_content_is_read_after_the_previous_of_its_uri(lake, corpus):
    """A worker's clock was a year ahead; a file overwritten now must still be newer than what that worker read."""
    _read(lake, DAY, **{"0a": {"uri": f"{corpus.root}/2026/11/21/a", "etag": "old", "read_at": NEXT_YEAR}})
    run = make_run(lake, DAY, corpus=corpus)
    found = discover.fn(run)
    assert found.n_known == 0
    planned = _planned(run, found, DAY)
    assert (planned["a"]["read_after"], planned["b"]["read_after"]) == (NEXT_YEAR, None)
    item = AudioObject(**planned["a"])
    _read(lake, DAY, **{"0b": object_columns(item)})
    shown = store_history.recordings(lake, "v1", DAY).collect()
    assert shown["etag"].to_list() == [item.etag]


def test_a_new_content_is_read_after_published_reads_of_other_dates_and_versions(lake, corpus):
    uri = f"{corpus.root}/2026/11/21/b"
    row = {"uri": uri, "etag": "old", "bytes": 1, "modified": NOON, "tries": 1, "status": "ok", "read_at": NEXT_YEAR}
    shown = pa.Table.from_pylist([row | {"date": OTHER} | VERSIONS], schema=RECORDINGS)
    write_deltalake(lake.uri_of("analytics", "recordings"), shown)
    run = make_run(lake, corpus=corpus)
    planned = _planned(run, discover.fn(run), DAY, OTHER)
    assert {name: planned[name]["read_after"] for name in "abc"} == {"a": None, "b": NEXT_YEAR, "c": None}


def test_mixed_dates_that_wait_on_disk_give_the_same_as_sorted_ones(lake, corpus, monkeypatch):
    _read(lake, DAY, **{"0a": {"uri": f"{corpus.root}/2026/11/21/b", "etag": next(_etags(corpus, DAY))}})
    in_turn, mixed = make_run(lake, OTHER, DAY, corpus=corpus), make_run(lake, corpus=corpus)
    first = discover.fn(in_turn)
    assert (first.n_listed, first.n_known, first.dates, first.n_bytes) == (3, 1, (DAY, OTHER), 2)
    planned = _planned(in_turn, first, DAY, OTHER)
    monkeypatch.setattr(tasks.staging.date_spool.DateSpool.__init__, "__kwdefaults__", {"max_rows": 0})
    again = discover.fn(mixed)
    assert (again.n_listed, again.n_known, again.parts, again.window) == (3, 1, {DAY: 1, OTHER: 1}, None)
    assert _planned(mixed, again, DAY, OTHER) == planned
    assert lake.names("staging/run=r/listed/date=2026-11-21") == []


def _etags(corpus: Corpus, date: dt.date) -> Iterator[str]:
    return (item.etag for item in list_objects(corpus, [date]))


def test_a_retried_stage_reads_nothing_of_the_first_try(lake, corpus):
    """The first try had written more parts: those were once read as well."""
    run = make_run(lake, DAY, corpus=corpus)
    first = discover.fn(run)
    (part,) = read_found(run, first, DAY)
    writer = FoundWriter(run)
    for _ in range(3):
        writer.write(DAY, part)
    again = discover.fn(run)
    assert again == first
    assert sum(frame.height for frame in read_found(run, again, DAY)) == 2


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ef"), st.integers(0, 3)), max_size=8), st.booleans())
def test_unread_objects_follow_from_the_attempts(attempts, force):
    """Against the rule written out for one object at a time."""
    made = [(uri, etag, tries) for uri, etag, tries in attempts]
    history = pl.DataFrame(
        {
            "uri": [uri for uri, *_ in made],
            "etag": [etag for _, etag, _ in made],
            "tries": [tries + 1 for *_, tries in made],
            "is_read": [tries == 3 for *_, tries in made],
            "is_settled": [tries == 3 for *_, tries in made],
            "exhausted": ["vanished" if tries == 2 else None for *_, tries in made],
        },
        schema={
            **{"uri": pl.String, "etag": pl.String, "tries": pl.Int16, "is_read": pl.Boolean},
            **{"is_settled": pl.Boolean, "exhausted": pl.String},
        },
    ).unique(["uri", "etag"], keep="last")
    history = history.with_columns(read_after=pl.lit(NOON).cast(pl.Datetime("us", "UTC")))
    listed = object_frames.from_objects(AudioObject(uri, etag, 1, DAY, NOON) for uri in "abc" for etag in "ef")
    nothing = pl.DataFrame(schema={"uri": pl.String, "read_after": pl.Datetime("us", "UTC")})
    none = listed.select("uri", "etag").clear()
    found = select_unread(listed.select(LISTING_SCHEMA.keys()), history, nothing, again=none, force=force)
    known = {(uri, etag): tries for uri, etag, tries in history.select("uri", "etag", "tries").iter_rows()}
    expected = [
        (item.uri, item.etag, known.get((item.uri, item.etag), int(force)) - int(force))
        for item in object_frames.to_objects(listed)
        if force or known.get((item.uri, item.etag), 0) < 3
    ]
    assert found.select("uri", "etag", "tries").rows() == expected
    seen = set(history["uri"])
    assert all((row["read_after"] is not None) == (row["uri"] in seen) for row in found.to_dicts())
