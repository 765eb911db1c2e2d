"""Retries of rejects: on request, a few times; a successful one leaves the rejects."""

import datetime as dt
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.corpora import sample_corpus
from typer.testing import CliRunner

import features.extraction.prefetch
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from flows.backfill import backfill
from flows.cli.main import app
from flows.nightly import nightly
from flows.retry import retry

NIGHT = "2026/11/21"
RUN = CliRunner()


FILES = ("21/call-0023-voice-c.flac", "19/call-0032-empty.wav", "21/readme-not-audio.mp3")


@pytest.fixture(scope="module")
def _once(_prefect, registry, tmp_path_factory) -> Path:
    """A corpus as it was, one that tests may change, and a lake where it is published."""
    folder = tmp_path_factory.mktemp("retry")
    sample_corpus(folder / "pristine", *FILES, date=NIGHT)
    shutil.copytree(folder / "pristine", folder / "corpus")
    flags = {"corpus": str(folder / "corpus"), "lake": str(folder / "lake"), "registry": registry.uri}
    backfill(settings=flags | {"cluster": "threads"})
    return folder


@pytest.fixture
def corpus(_once) -> Path:
    """One good call, an empty one, and one that is no audio; under the same path in each test, with the same times."""
    shutil.rmtree(_once / "corpus")
    shutil.copytree(_once / "pristine", _once / "corpus")
    return _once / "corpus" / NIGHT


@pytest.fixture
def here(settings, corpus):
    return settings | {"corpus": str(corpus.parents[2])}


@pytest.fixture
def published(_once, here):
    """The rejects of a first run: a lake of the test's own."""
    shutil.copytree(_once / "lake", here["lake"])


@pytest.fixture
def tried_three_times(_once, published, here):
    """The same, after the empty one has failed twice more; made once."""
    done = _once / "tried"
    if not done.exists():
        for tries in (2, 3):
            ledger = retry(reasons=["empty"], settings=here)
            assert (ledger.extracted.n_objects, ledger.left_alone) == (1, {})
            assert _rejects(here) == {"call-0032-empty.wav": ("empty", tries), "readme-not-audio.mp3": ("not_audio", 1)}
        shutil.copytree(here["lake"], done)
    shutil.rmtree(here["lake"])
    shutil.copytree(done, here["lake"])


def _rejects(here) -> dict[str, tuple[str, int]]:
    rows = Lake(here["lake"]).scan("rejects").collect()
    return {Path(row["uri"]).name: (row["reason"], row["tries"]) for row in rows.iter_rows(named=True)}


def test_one_that_reads_well_now_leaves_and_gets_its_utterances(here, corpus, sample, monkeypatch):
    """The store failed for a night: the file is the same, and is good."""

    def broken(uri, _etag, retry_policy):
        if "0023" in uri:
            raise PermissionError("not tonight")
        return Path(uri).read_bytes()

    with monkeypatch.context() as night:
        night.setattr(features.extraction.prefetch, "read_object", broken)
        backfill(settings=here)
    assert _rejects(here)["call-0023-voice-c.flac"] == ("access_denied", 1)
    lake = Lake(here["lake"])
    ledger = retry(reasons=["access_denied"], settings=here)
    assert (ledger.flow, ledger.n_listed, ledger.extracted.n_objects, ledger.extracted.n_ok) == ("retry", 1, 1, 1)
    assert "call-0023-voice-c.flac" not in _rejects(here)
    recordings = lake.scan("recordings").filter(pl.col("status") == "ok").collect()
    assert recordings["tries"].to_list() == [2]
    utterances = lake.scan("utterances").collect()
    assert set(utterances["recording_id"]) == set(recordings["recording_id"])
    assert set(utterances["run_id"]) == {ledger.run_id}
    run = lake.scan("runs").filter(run_id=ledger.run_id).collect().row(0, named=True)
    assert (run["flow"], run["status"], run["n_read"], run["n_published_recordings"]) == ("retry", "done", 1, 1)
    assert backfill(settings=here).n_published_recordings == 0


def test_one_that_fails_again_is_left_alone_after_three_times(tried_three_times, here):
    ledger = retry(settings=here)
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (2, 1, 1)
    assert ledger.left_alone == {"empty": 1}
    assert _rejects(here) == {"call-0032-empty.wav": ("empty", 3), "readme-not-audio.mp3": ("not_audio", 2)}
    assert retry(reasons=["empty"], settings=here).extracted.n_objects == 0
    assert nightly(date=dt.date(2026, 11, 21), settings=here).extracted.n_objects == 0
    assert backfill(force=True, settings=here).extracted.n_objects == 3
    assert _rejects(here)["call-0032-empty.wav"] == ("empty", 3), "by force it was done over, not once more"


def test_one_that_was_left_alone_is_read_when_it_has_changed(tried_three_times, here, corpus, sample):
    assert retry(reasons=["empty"], settings=here).left_alone == {"empty": 1}
    shutil.copy(sample / NIGHT / "call-0024-voice-c.flac", corpus / "call-0032-empty.wav")
    ledger = retry(reasons=["empty"], settings=here)
    assert (ledger.left_alone, ledger.extracted.n_ok) == ({}, 1)
    assert set(_rejects(here)) == {"readme-not-audio.mp3"}
    assert Lake(here["lake"]).scan("utterances").collect()["recording_id"].n_unique() == 2


def test_one_that_is_gone_is_told_so(published, here, corpus):
    (corpus / "readme-not-audio.mp3").unlink()
    ledger = retry(uris=[str(corpus / "readme-not-audio.mp3")], settings=here)
    assert (ledger.n_listed, ledger.extracted.n_rejected) == (1, 1)
    (row,) = Lake(here["lake"]).scan("rejects").filter(pl.col("uri").str.ends_with("mp3")).collect().to_dicts()
    assert (row["reason"], row["tries"]) == ("vanished", 2)
    assert "not there any more" in row["error"]
    assert _rejects(here)["call-0032-empty.wav"] == ("empty", 1)


def test_a_run_that_died_after_reading_is_resumed_by_the_next(published, here, monkeypatch):
    """The retry's reads are in the store: the next run publishes them without reading."""

    def dies(*_arguments, **_more):
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr("flows.publish_in_parts.select", dies)
        with pytest.raises(RuntimeError):
            retry(reasons=["empty"], settings=here)
    assert _rejects(here)["call-0032-empty.wav"] == ("empty", 1)
    ledger = backfill(settings=here)
    assert (ledger.extracted.n_objects, ledger.n_published_recordings) == (0, 1)
    assert _rejects(here)["call-0032-empty.wav"] == ("empty", 2)


def test_a_manifest_keeps_what_it_said_of_a_reject(here, corpus, tmp_path):
    manifest = tmp_path / "calls.csv"
    manifest.write_text(f"uri,agent\n{NIGHT}/call-0032-empty.wav,ada\n{NIGHT}/gone.wav,ben\n")
    listed = here | {"manifest": str(manifest)}
    backfill(settings=listed)
    assert _rejects(here) == {"call-0032-empty.wav": ("empty", 1), "gone.wav": ("vanished", 1)}
    shutil.copy(corpus / "call-0023-voice-c.flac", corpus / "gone.wav")
    ledger = retry(settings=listed)
    assert (ledger.extracted.n_ok, ledger.extracted.n_rejected) == (1, 1)
    assert _rejects(here) == {"call-0032-empty.wav": ("empty", 2)}
    recordings = Lake(here["lake"]).scan("recordings").sort("uri").collect()
    assert recordings["attributes"].to_list() == ['{"agent": "ada"}', '{"agent": "ben"}']


def test_dates_choose(published, here):
    assert retry(start=dt.date(2026, 11, 20), end=dt.date(2026, 11, 20), settings=here).n_listed == 0
    assert retry(start=dt.date(2026, 11, 21), end=dt.date(2026, 11, 21), settings=here).n_listed == 2


@pytest.mark.parametrize(
    ("asked", "words"), [({"uris": ["nowhere.wav"]}, "not among the rejects"), ({"reasons": ["tired"]}, "no_speech")]
)
def test_a_wrong_choice_is_wrong_usage(published, here, asked, words):
    with pytest.raises(UsageError, match=words):
        retry(**asked, settings=here)


def test_the_command_lists_retries_and_says_what_it_left_alone(tried_three_times, here, registry, monkeypatch):
    monkeypatch.setenv("UNDERTONE_REGISTRY", registry.uri)
    places = ["--lake", here["lake"], "--corpus", here["corpus"], "--cluster", "threads"]
    bare = RUN.invoke(app, ["rejects", "--lake", here["lake"]])
    assert "not_audio" in bare.output
    assert "undertone rejects retry" in bare.output
    answer = RUN.invoke(app, ["rejects", "retry", "--reason", "empty", *places])
    assert "1 left alone (1 empty): failed 3 times for the same reason" in answer.output
    assert "Nothing to read again" in answer.output
    answer = RUN.invoke(app, ["rejects", "retry", "--reason", "empty", *places, "--json"])
    row = json.loads(answer.stdout)
    assert (row["flow"], row["n_listed"], row["n_known"], row["left_alone"]) == ("retry", 1, 1, {"empty": 1})
    listed = RUN.invoke(app, ["rejects", "--lake", here["lake"], "--json"])
    assert {row["reason"]: row["tries"] for row in json.loads(listed.stdout)} == {"empty": 3, "not_audio": 1}
