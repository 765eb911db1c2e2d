"""Feature files that another hand deleted or cut: runs that read audio mend them, runs that only score name them."""

import datetime as dt
from pathlib import Path

import pytest
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables

from data_contracts.errors import DamagedFile, LakeError
from data_contracts.lake import Lake
from features.store import shard_files
from features.store.completeness import find_damage_on
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.nightly import nightly

DAY, NEXT = dt.date(2026, 11, 19), dt.date(2026, 11, 20)
SETS = ("egemaps", "embeddings", "segments", "suprasegmental")
COUNTS = "SELECT " + ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in SETS)


@pytest.fixture
def lake(published_few) -> Lake:
    return Lake(published_few["lake"])


def _file(lake: Lake, feature_set: str, day: dt.date) -> Path:
    (version,) = shard_files.versions(lake)
    (name,) = lake.names(folder := shard_files.folder(feature_set, version, day))
    return Path(lake.uri, folder, name)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def test_a_run_that_reads_audio_writes_the_shards_again(lake, published_few, contents):
    before, rows = contents(lake.uri), query(lake, COUNTS)
    _file(lake, "egemaps", DAY).unlink()
    _cut(_file(lake, "embeddings", NEXT))
    with pytest.raises(
        DamagedFile, match=rf"gone or cut: .*{DAY}.*{NEXT}.*`undertone backfill --from {DAY} --to {NEXT}` "
    ):
        backfill(stage="score", force=True, settings=published_few)
    ledger = nightly(date=NEXT, settings=published_few)
    assert (ledger.extracted.n_objects, ledger.n_published_recordings) == (3, 0)
    assert find_damage_on(lake, ledger.feature_version, [DAY, NEXT]) == {}
    assert backfill(stage="score", force=True, settings=published_few).n_published_recordings == 3
    assert_same_tables(contents(lake.uri), before)
    assert query(lake, COUNTS).equals(rows)


@only_exploring
def test_recordings_that_cannot_be_read_need_force(lake, published_few, contents):
    before, rows = contents(lake.uri), query(lake, COUNTS)
    _cut(_file(lake, "recordings", DAY))
    command = f"`undertone backfill --from {DAY} --to {DAY} --force`"
    with pytest.raises(DamagedFile, match=command):
        nightly(date=DAY, settings=published_few)
    assert backfill(DAY, DAY, force=True, settings=published_few).n_published_recordings == 2
    assert_same_tables(contents(lake.uri), before)
    assert query(lake, COUNTS).equals(rows)
    aside = list(Path(lake.uri, "features").glob("*/version=*/date=*.damaged-*/*.parquet"))
    assert len(aside) >= len(SETS), "kept for whoever wants to look"


def test_all_features_gone(lake, published_few, contents):
    before, rows = contents(lake.uri), query(lake, COUNTS)
    lake.remove("features")
    with pytest.raises(LakeError, match="expected features of version"):
        backfill(stage="score", settings=published_few)
    assert nightly(date=DAY, settings=published_few).extracted.n_objects == 2, "they are read again"
    with pytest.raises(DamagedFile, match=r"published recordings of 2026-11-20.*--from 2026-11-20 --to 2026-11-20"):
        backfill(stage="score", settings=published_few)
    backfill(settings=published_few)
    assert_same_tables(contents(lake.uri), before)
    assert query(lake, COUNTS).equals(rows)
