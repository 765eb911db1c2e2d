"""Backfills over what was published already: nothing twice, changed files replaced, late ones found."""

import datetime as dt
import os
import shutil
from pathlib import Path

import polars as pl
from helpers.corpora import sample_corpus
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables

import features.extraction.prefetch
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from features.store import shard_files
from flows.backfill import backfill
from flows.nightly import nightly

N_OBJECTS = 34
FILES = [
    *("19/call-0001-voice-a.flac", "19/call-0002-voice-b.flac"),
    *("20/call-0013-voice-c.flac", "21/call-0025-voice-d.flac"),
]


def test_again_publishes_nothing(settings, published):
    before = newest_versions(Lake(settings["lake"]))
    ledger = backfill(settings=settings)
    assert (ledger.n_known, ledger.extracted.n_objects, ledger.n_published_recordings) == (N_OBJECTS, 0, 0)
    after = newest_versions(Lake(settings["lake"]))
    assert {table: n for table, n in after.items() if table != "runs"} == {
        table: n for table, n in before.items() if table != "runs"
    }


def test_what_came_late_is_found_in_the_look_back(settings, tmp_path):
    corpus = sample_corpus(tmp_path / "corpus", *FILES)
    late = corpus / "2026/11/19/call-0001-voice-a.flac"
    held = late.read_bytes()
    late.unlink()
    here = settings | {"corpus": str(corpus)}
    assert nightly(date=dt.date(2026, 11, 20), settings=here).n_listed == 2
    late.write_bytes(held)
    ledger = nightly(date=dt.date(2026, 11, 21), settings=here)
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (4, 2, 2)


def test_new_files_never_reshard_what_was_done(settings, tmp_path):
    files = [f"20/call-00{name}.flac" for name in ("11-voice-a", "12-voice-b", "13-voice-c")]
    corpus = sample_corpus(tmp_path / "corpus", *files[1:])
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    lake = Lake(here["lake"])
    (version,) = [name.removeprefix("version=") for name in lake.names("features/recordings")]
    before = set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))
    sample_corpus(corpus, files[0])
    assert backfill(settings=here).extracted.n_objects == 1
    assert before < set(shard_files.shards(lake, version, dt.date(2026, 11, 20)))


def test_a_changed_file_replaces_its_utterances(settings, tmp_path):
    corpus = sample_corpus(tmp_path / "corpus", *FILES)
    here = settings | {"corpus": str(corpus)}
    backfill(settings=here)
    (corpus / "2026/11/19/call-0002-voice-b.flac").write_text("Dear Sir or Madam")
    lake = Lake(here["lake"])
    before = lake.scan("utterances").collect()
    ledger = backfill(settings=here)
    after = lake.scan("utterances").collect()
    assert ledger.extracted.n_rejected == 1
    assert before["recording_id"].n_unique() - 1 == after["recording_id"].n_unique() > 0
    assert lake.scan("recordings").collect().height == len(FILES)
    assert lake.scan("speakers").collect()["n_utterances"].sum() == len(after)


def test_force_writes_the_same_shards_again(published_few, contents):
    lake = Path(published_few["lake"])
    before, files = contents(lake), sorted((lake / "features").rglob("*.parquet"))
    ledger = backfill(force=True, settings=published_few)
    assert ledger.extracted.n_objects == 3
    assert sorted((lake / "features").rglob("*.parquet")) == files
    assert_same_tables(contents(lake), before)


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


def test_a_failed_read_takes_nothing_away(published_few, monkeypatch):
    """Credentials that list and cannot read, under --force: what was read before stays, in store and tables."""
    lake = Lake(published_few["lake"])
    before = lake.scan("utterances").collect()

    def denied(uri, _etag, retry_policy=None):
        raise PermissionError(uri)

    with monkeypatch.context() as night:
        night.setattr(features.extraction.prefetch, "read_object", denied)
        ledger = backfill(force=True, settings=published_few)
    assert ledger.extracted.n_rejected == 3
    assert lake.scan("utterances").collect().height == len(before)
    assert backfill(settings=published_few).n_published_recordings == 0


@only_exploring
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
