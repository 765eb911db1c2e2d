"""Publication in batches of dates: the same tables as in one, and whole at each moment."""

import threading

import polars as pl
import pytest
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables

import flows.publish_in_parts
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import snapshot
from flows.backfill import backfill

A_DATE = {"publish_recordings": 1}


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


@pytest.fixture
def settings(settings, few):
    return settings | {"corpus": str(few)}


@only_exploring
def test_date_by_date_is_as_at_once_and_readers_see_whole_publications(settings, contents, few_lake):
    """A reader goes on reading throughout: what the pointer names always belongs together."""
    lake, reader = Lake(settings["lake"]), Reader(settings["lake"])
    reader.start()
    ledger = backfill(settings=settings | A_DATE)
    backfill(stage="score", force=True, settings=settings | A_DATE)
    reader.stop()
    assert reader.faults == []
    assert len(reader.seen) >= 3, "it saw parts, not only the end"
    assert (ledger.n_published_recordings, ledger.attempt) == (3, 2)
    assert lake.delta("utterances").version() == 3, "two dates, twice"
    runs = lake.scan("runs").sort("started").collect()
    assert runs.select("status", "n_published_recordings").rows() == [("done", 3)] * 2
    assert lake.names("staging") == ["publishing"], "the lock's number, and nothing of a run"
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]), by=2e-3)


def test_what_was_published_before_a_death_stays_and_the_rest_follows(settings, contents, few_lake, monkeypatch):
    publish, done = flows.publish_in_parts.publish, []

    def die_at_the_second(run, *arguments, **options):
        if done:
            raise Killed
        done.append(run.id)
        publish(run, *arguments, **options)

    with monkeypatch.context() as death:
        death.setattr(flows.publish_in_parts, "publish", die_at_the_second)
        with pytest.raises(Killed):
            backfill(settings=settings | A_DATE)
    pinned = snapshot(Lake(settings["lake"]))
    assert pinned.scan("recordings").collect().height == 2
    assert pinned.scan("runs").collect().select("run_id", "status").rows() == [(done[0], "running")]
    ledger = backfill(settings=settings | A_DATE)
    assert ledger.n_published_recordings == 1
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]), by=2e-3)


def test_what_an_audit_stops_leaves_the_dates_before(settings, monkeypatch):
    from data_contracts.errors import ValidationStopped
    from tasks.stages import audit as auditing

    validate, n_done = auditing.validate, []

    def spoil_the_second(frames, *arguments, **options):
        n_done.append(1)
        if len(n_done) == 2:
            frames["recordings"].loc[0, "bytes"] = -1
        return validate(frames, *arguments, **options)

    monkeypatch.setattr(auditing, "validate", spoil_the_second)
    with pytest.raises(ValidationStopped, match="these dates were not published"):
        backfill(settings=settings | A_DATE)
    pinned = snapshot(Lake(settings["lake"]))
    assert pinned.scan("recordings").collect()["date"].n_unique() == 1
    assert f"run={pinned.run_id}" in Lake(settings["lake"]).names("staging")


class Reader(threading.Thread):
    """Reads what the pointer names, again and again, and compares the tables with each other."""

    def __init__(self, uri):
        super().__init__(daemon=True)
        self.uri, self.faults, self.seen, self.done = uri, [], set(), threading.Event()

    def run(self):
        while not self.done.wait(0.05):
            tables = snapshot(Lake(self.uri))
            if tables.run_id is None:
                continue  # nothing is published yet
            self.seen.add((tables.run_id, *sorted(tables.versions.items())))
            said = tables.scan("utterances").filter(pl.col("emotion").is_not_null()).collect()
            counted = said.group_by("date", "emotion").agg(n=pl.len().cast(pl.Int64)).sort("date", "emotion")
            tallied = tables.scan("emotion_daily").group_by("date", "emotion").agg(n=pl.col("n_utterances").sum())
            daily = tallied.sort("date", "emotion").collect()
            if not counted.equals(daily):
                self.faults.append((tables.run_id, counted, daily))
            if not set(said["run_id"]) <= set(tables.scan("runs").collect()["run_id"]):
                self.faults.append((tables.run_id, "rows of a run that is not in the ledger"))

    def stop(self):
        self.done.set()
        self.join()
