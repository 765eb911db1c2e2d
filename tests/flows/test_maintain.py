"""`undertone maintain`: tables stay equal, killed or not, alone or beside a run."""

import datetime as dt
import json
import shutil
import threading

import pytest
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables
from typer.testing import CliRunner

import features.store.compaction
import flows.maintain
import flows.publish_in_parts
import tasks.publication.compaction
from data_contracts.lake import Lake
from data_contracts.schema.tables import TABLE_KEYS
from features.store import shard_files
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.cli.main import app
from flows.maintain import maintain
from tasks.publication.commit import RUN_ID

DAYS = [dt.date(2026, 11, day) for day in (19, 20, 21)]


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


@pytest.fixture
def settings(nights_lake, tmp_path, monkeypatch):
    """A copy of that lake. The sample's days are long past for the packer, and so is every run that may write there."""
    pack = flows.maintain.pack_features
    later = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
    monkeypatch.setattr(flows.maintain, "pack_features", lambda lake, _now, **how: pack(lake, later, **how))
    shutil.copytree(nights_lake["lake"], tmp_path / "lake")
    return nights_lake | {"lake": str(tmp_path / "lake")}


def _n_files(lake):
    (version,) = shard_files.versions(lake)
    return {day: len(lake.names(shard_files.folder("segments", version, day))) for day in DAYS}


def test_the_same_tables_in_fewer_files_and_nothing_to_do_after(settings, contents):
    lake, before = Lake(settings["lake"]), contents(settings["lake"])
    asked = "SELECT count(*) AS n, round(sum(loudness_sma3_amean), 3) AS loud FROM egemaps"
    rows = query(lake, asked)
    assert min(_n_files(lake).values()) > 1
    told = maintain(dry_run=True, settings=settings)
    assert min(_n_files(lake).values()) > 1, "a dry run does nothing"
    done = {line.what: line for line in maintain(settings=settings)}
    assert set(_n_files(lake).values()) == {1}
    assert {line.what: line.files_after for line in told} == {name: line.files_after for name, line in done.items()}
    assert_same_tables(contents(settings["lake"]), before)
    assert query(lake, asked).equals(rows)
    versions = {name: lake.delta(name).version() for name in TABLE_KEYS}
    assert {line.files_before - line.files_after for line in maintain(settings=settings)} == {0}
    assert versions == {name: lake.delta(name).version() for name in TABLE_KEYS}
    ledger = backfill(settings=settings)
    assert (ledger.n_known, ledger.extracted.n_objects, ledger.n_published_recordings) == (34, 0, 0)


@pytest.mark.slow
def test_what_is_packed_is_scored_and_read_again_as_before(settings, contents):
    """Every stage that reads features reads packs: a new score of all, then all audio again, in the same shards."""
    lake, before = Lake(settings["lake"]), contents(settings["lake"])
    (version,) = shard_files.versions(lake)
    shards = {day: shard_files.shards(lake, version, day) for day in DAYS}
    rows = query(lake, "SELECT count(*) FROM segments")
    maintain(settings=settings)
    assert backfill(stage="score", force=True, settings=settings).n_published_recordings == 34
    assert_same_tables(contents(settings["lake"]), before)
    backfill(force=True, settings=settings)
    assert_same_tables(contents(settings["lake"]), before)
    assert {day: shard_files.shards(lake, version, day) for day in DAYS} == shards
    assert query(lake, "SELECT count(*) FROM segments").equals(rows), "plain readers see no shard twice"


@pytest.mark.parametrize("step", ["tidy", "vacuum", "pack", "remove", "expire"])
def test_dead_at_a_step_and_run_again(step, settings, contents, monkeypatch):
    def die(*_args, **_kwargs):
        raise Killed

    before, lake = contents(settings["lake"]), Lake(settings["lake"])
    module, name = {
        "tidy": (tasks.publication.compaction, "_file_sizes"),
        "vacuum": (tasks.publication.compaction, "_vacuum"),
        "pack": (features.store.compaction, "_packers"),
        "remove": (features.store.compaction, "_remove"),
        "expire": (flows.maintain, "expire_reports"),
    }[step]
    with monkeypatch.context() as death:
        death.setattr(module, name, die)
        with pytest.raises(Killed):
            maintain(settings=settings)
    assert_same_tables(contents(settings["lake"]), before)
    maintain(settings=settings)
    assert set(_n_files(lake).values()) == {1}
    assert_same_tables(contents(settings["lake"]), before)


@pytest.mark.slow
def test_a_run_that_staged_before_and_publishes_after(settings, contents, monkeypatch):
    """Compaction moves the tables' versions, not what they say: whoever built upon those publishes once, all of it."""
    publish, tries = flows.publish_in_parts.publish, []

    def overtake(run, ledger, base, **more):
        tries.append(run.id)
        if len(tries) == 1:
            maintain(settings=settings)
        publish(run, ledger, base, **more)

    before = contents(settings["lake"])
    monkeypatch.setattr(flows.publish_in_parts, "publish", overtake)
    ledger = backfill(stage="score", force=True, settings=settings)
    assert tries == [ledger.run_id], "nothing is staged again for it"
    assert ledger.n_published_recordings == 34
    assert_same_tables(contents(settings["lake"]), before)
    commits = [commit.get(RUN_ID) for commit in Lake(settings["lake"]).delta("utterances").history()]
    assert commits.count(ledger.run_id) == 1


@only_exploring
def test_a_backfill_meanwhile(settings, contents):
    """Maintenance over and over while a forced backfill reads, writes, scores and publishes what it packs."""
    lake, before = Lake(settings["lake"]), contents(settings["lake"])
    rows, over, wrong = query(lake, "SELECT count(*) FROM segments"), threading.Event(), []

    def tend() -> None:
        while not over.wait(0.5):
            try:
                maintain(settings=settings)
            except BaseException as error:  # noqa: BLE001 - it is told below
                wrong.append(error)

    tender = threading.Thread(target=tend)
    tender.start()
    try:
        backfill(force=True, settings=settings)
    finally:
        over.set()
        tender.join()
    assert not wrong
    maintain(settings=settings)
    assert_same_tables(contents(settings["lake"]), before)
    assert set(_n_files(lake).values()) == {1}
    assert query(lake, "SELECT count(*) FROM segments").equals(rows)


def test_the_command(settings, monkeypatch):
    for name in ("lake", "registry"):
        monkeypatch.setenv(f"UNDERTONE_{name.upper()}", settings[name])
    answer = CliRunner().invoke(app, ["maintain", "--dry-run"], catch_exceptions=False)
    assert answer.exit_code == 0
    assert "what would be done" in answer.output
    answer = CliRunner().invoke(app, ["maintain", "--older-than-days", "0", "--json"], catch_exceptions=False)
    lines = {line["what"]: line for line in json.loads(answer.stdout)}
    assert lines["analytics/emotion_daily"]["did"] == "compacted"
    assert lines["features/egemaps"]["files_after"] == 3
    assert {"staging", "validation"} <= lines.keys()


def test_wrong_retention_is_said_at_once():
    answer = CliRunner().invoke(app, ["maintain", "--lake", "lake", "--keep-versions-days", "0"])
    assert answer.exit_code != 0
    assert "keep_versions_days" in str(answer.exception)
