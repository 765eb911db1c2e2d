"""Promise 1: a run killed at any point and run again publishes the tables of an undisturbed run."""

import pytest
from helpers.explore_profile import unless_exploring
from helpers.tables import assert_same_tables

import flows.pipeline
import flows.publish_in_parts
import tasks.publication.publish
from data_contracts.lake import Lake
from data_contracts.schema.tables import TABLE_KEYS
from flows.backfill import backfill


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


@pytest.fixture
def settings(settings, few):
    """Over a few files: what dies here is not what reads them."""
    return settings | {"corpus": str(few)}


STAGES = ["plan", "extract", "select", "identify", "score", "integrate", "audit", "publish"]


@pytest.mark.parametrize("stage", unless_exploring(["extract", "identify", "publish"], STAGES))
def test_dead_before_a_stage(stage, settings, contents, monkeypatch, few_lake):
    def die(*_args, **_kwargs):
        raise Killed

    with monkeypatch.context() as death:
        death.setattr(flows.pipeline if hasattr(flows.pipeline, stage) else flows.publish_in_parts, stage, die)
        with pytest.raises(Killed):
            backfill(settings=settings)
    assert Lake(settings["lake"]).names("analytics") == [], "nothing is visible before it is published"
    backfill(settings=settings)
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]))


@pytest.mark.parametrize("table", unless_exploring(["utterances", "drift", "runs"], list(TABLE_KEYS)))
def test_dead_between_two_tables(table, settings, contents, monkeypatch, few_lake):
    """The next run rolls forward what was audited, and finds nothing left to do."""
    commit = tasks.publication.publish.commit

    def die_at(lake, change, *args, **kwargs):
        if change.table == table:
            raise Killed
        commit(lake, change, *args, **kwargs)

    with monkeypatch.context() as death:
        death.setattr(tasks.publication.publish, "commit", die_at)
        with pytest.raises(Killed):
            backfill(settings=settings)
    ledger = backfill(settings=settings)
    assert ledger.n_published_recordings == 0
    lake = Lake(settings["lake"])
    assert lake.scan("runs").collect().height == 2, "the dead run's row, and this one's"
    assert all(lake.delta(name).version() == 0 for name in TABLE_KEYS if name != "runs")
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]))
