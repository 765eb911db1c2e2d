"""Stage 1: what is to be read, and after which earlier read it comes."""

import datetime as dt
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.lake import Lake
from data_contracts.records import AudioObject
from data_contracts.schemas import RECORDING_FEATURES, RECORDINGS
from features import store
from features.corpus import Corpus
from features.tables import object_columns
from tasks.discover import discover, found_path

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
NEXT_YEAR = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
VERSIONS = dict.fromkeys(["emotion_model", "speaker_model", "feature_version", "run_id"], "v1")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Three files, last changed on their day."""
    for name in ("2026/11/21/a", "2026/11/21/b", "2026/11/22/c"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    return Corpus(str(tmp_path / "corpus"))


def _run(lake: Lake, corpus: Corpus, *dates: dt.date, force: bool = False) -> Any:
    given = {"lake": lake, "corpus": corpus, "dates": dates or None, "force": force, "retry": None}
    return SimpleNamespace(**given, feature_version="v1", staging="staging/run=r")


def _read(lake: Lake, date: dt.date, **rows: dict[str, Any]) -> None:
    """Into the store, a shard a row, named by its file."""
    for name, row in rows.items():
        told = {"etag": "e", "bytes": 1, "modified": NOON, "tries": 1, "status": "ok", "read_at": NOON} | row
        tables = {"recordings": pa.Table.from_pylist([told], schema=RECORDING_FEATURES)}
        store.write_shard(lake, tables, version="v1", date=date, shard=name, configuration="")


def _planned(run: Any, *dates: dt.date) -> dict[str, dict[str, Any]]:
    frames = [pl.DataFrame(run.lake.read_parquet(found_path(run, date))) for date in dates]
    return {row["uri"][-1]: row for frame in frames for row in frame.iter_rows(named=True)}


def test_a_fresh_content_comes_after_what_its_uri_held(lake, corpus):
    """A worker's clock was a year ahead; what is overwritten now must still be newer than what that worker read."""
    _read(lake, DAY, **{"0a": {"uri": f"{corpus.root}/2026/11/21/a", "etag": "old", "read_at": NEXT_YEAR}})
    run = _run(lake, corpus, DAY)
    assert discover.fn(run).n_known == 0
    planned = _planned(run, DAY)
    assert (planned["a"]["read_after"], planned["b"]["read_after"]) == (NEXT_YEAR, None)
    (item,) = [AudioObject(date=DAY, **row) for row in planned.values() if row["uri"].endswith("a")]
    _read(lake, DAY, **{"0b": object_columns(item)})
    shown = store.recordings(lake, "v1", DAY).collect()
    assert shown["etag"].to_list() == [item.etag]


def test_it_also_comes_after_what_the_tables_show_of_another_date_or_version(lake, corpus):
    uri = f"{corpus.root}/2026/11/21/b"
    row = {"uri": uri, "etag": "old", "bytes": 1, "modified": NOON, "tries": 1, "status": "ok", "read_at": NEXT_YEAR}
    shown = pa.Table.from_pylist([row | {"date": OTHER} | VERSIONS], schema=RECORDINGS)
    write_deltalake(lake.at("analytics", "recordings"), shown)
    run = _run(lake, corpus)
    discover.fn(run)
    found = _planned(run, DAY, OTHER)
    assert {name: found[name]["read_after"] for name in "abc"} == {"a": None, "b": NEXT_YEAR, "c": None}
