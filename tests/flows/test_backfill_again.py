"""Backfills over what was published already: nothing twice, changed files replaced, late ones found."""

import datetime as dt
import os
import shutil
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

import features.extraction.prefetch
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from features.store import shard_files
from flows.backfill import backfill
from flows.nightly import nightly

N_OBJECTS = 34
FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}
"""Scores and centroids come from float16 embeddings and float32 batches of other sizes."""


def test_again_publishes_nothing(settings, published):
    before = newest_versions(Lake(settings["lake"]))
    ledger = backfill(settings=settings)
    assert (ledger.n_known, ledger.extracted.n_objects, ledger.n_published_recordings) == (N_OBJECTS, 0, 0)
    after = newest_versions(Lake(settings["lake"]))
    assert {table: n for table, n in after.items() if table != "runs"} == {
        table: n for table, n in before.items() if table != "runs"
    }


def test_what_came_late_is_found_in_the_look_back(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    late = corpus / "2026/11/19/call-0001-voice-a.flac"
    held = late.read_bytes()
    late.unlink()
    here = settings | {"corpus": str(corpus)}
    assert nightly(date=dt.date(2026, 11, 20), settings=here).n_listed == 21
    late.write_bytes(held)
    ledger = nightly(date=dt.date(2026, 11, 21), settings=here)
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (N_OBJECTS, 21, N_OBJECTS - 21)


def test_new_files_never_reshard_what_was_done(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus)}
    moved = sorted((corpus / "2026/11/20").glob("*.flac"))[:3]
    for path in moved:
        path.rename(tmp_path / path.name)
    backfill(settings=here)
    lake = Lake(here["lake"])
    (version,) = [name.removeprefix("version=") for name in lake.names("features/recordings")]
    before = set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))
    for path in moved:
        (tmp_path / path.name).rename(path)
    assert backfill(settings=here).extracted.n_objects == 3
    assert before < set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))


def test_a_changed_file_replaces_its_utterances(settings, tmp_path, sample):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample, corpus)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    changed = corpus / "2026/11/19/call-0002-voice-b.flac"
    shutil.copy(corpus / "2026/11/21/readme-not-audio.mp3", changed)
    lake = Lake(here["lake"])
    before = lake.scan("utterances").collect()
    ledger = backfill(settings=here)
    after = lake.scan("utterances").collect()
    assert ledger.extracted.n_rejected == 1
    assert before["recording_id"].n_unique() - 1 == after["recording_id"].n_unique()
    assert lake.scan("recordings").collect().height == N_OBJECTS
    assert lake.scan("speakers").collect()["n_utterances"].sum() == len(after)


def test_force_writes_the_same_shards_again(settings, contents, published):
    lake, before = Lake(settings["lake"]), contents(settings["lake"])
    files = sorted(
        path.relative_to(settings["lake"]) for path in (Path(settings["lake"]) / "features").rglob("*.parquet")
    )
    ledger = backfill(force=True, settings=settings)
    assert ledger.extracted.n_objects == N_OBJECTS
    again = sorted(
        path.relative_to(settings["lake"]) for path in (Path(settings["lake"]) / "features").rglob("*.parquet")
    )
    assert files == again
    for table, frame in contents(lake.uri).items():
        assert_frame_equal(frame, before[table], **FLOAT)


def test_an_earlier_copy_that_comes_late_moves_its_utterances(settings, tmp_path, sample):
    """A recording is counted under its first name by date; the day that had counted it loses it."""
    corpus = tmp_path / "corpus"
    first, copy = corpus / "2026/11/19/a.flac", corpus / "2026/11/21/b.flac"
    for path in (copy, corpus / "2026/11/21/other.flac"):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample / "2026/11/21/call-0023-voice-c.flac", corpus / "2026/11/21/other.flac")
    shutil.copy(sample / "2026/11/19/call-0005-voice-e.flac", copy)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    first.parent.mkdir(parents=True)
    shutil.copy(copy, first)
    backfill(settings=here)
    lake = Lake(here["lake"])
    by_day = lake.scan("emotion_daily").group_by("date").agg(pl.col("n_utterances").sum()).sort("date").collect()
    assert by_day.rows() == [(dt.date(2026, 11, 19), 1), (dt.date(2026, 11, 21), 1)]
    assert lake.scan("utterances").collect().height == 2


def test_a_failed_read_takes_nothing_away(settings, tmp_path, sample, monkeypatch, published):
    """Credentials that list and cannot read, under --force: what was read before stays, in store and tables."""
    lake = Lake(settings["lake"])
    before = lake.scan("utterances").collect()

    def denied(uri, _etag, retry_policy=None):
        raise PermissionError(uri)

    with monkeypatch.context() as night:
        night.setattr(features.extraction.prefetch, "read_object", denied)
        ledger = backfill(force=True, settings=settings)
    assert ledger.extracted.n_rejected == N_OBJECTS
    assert lake.scan("utterances").collect().height == len(before)
    assert backfill(settings=settings).n_published_recordings == 0


def test_a_file_saved_on_another_day_does_not_flip_back(settings, tmp_path, sample):
    """Its old content stays in the store under its old day; what was read last is what the tables show."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    file = corpus / "a.flac"
    here = settings | {"corpus": str(corpus), "layout": "modified"}
    for day, source in ((19, "call-0001-voice-a"), (20, "call-0005-voice-e"), (18, "call-0002-voice-b")):
        shutil.copy(sample / f"2026/11/19/{source}.flac", file)
        stamp = dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC).timestamp()
        os.utime(file, (stamp, stamp))
        assert backfill(settings=here).n_published_recordings == 1
        assert backfill(settings=here).n_published_recordings == 0
        (row,) = Lake(here["lake"]).scan("recordings").collect().to_dicts()
        assert row["date"] == dt.date(2026, 11, day)
        assert set(Lake(here["lake"]).scan("utterances").collect()["recording_id"]) == {row["recording_id"]}
    assert backfill(force=True, settings=here).n_published_recordings == 1
