"""Promise 2: two concurrent runs over the same dates publish as if one came after the other."""

import pytest
from helpers.tables import assert_same_tables

import flows.publish_in_parts
from data_contracts.lake import Lake
from flows.backfill import backfill
from flows.nightly import nightly
from tasks.publication.commit import RUN_ID


@pytest.mark.slow
def test_nightly_and_backfill_at_once(few, tmp_path, contents, command, few_lake):
    lake = tmp_path / "both"
    common = ["--corpus", str(few), "--lake", str(lake), "--cluster", "threads", "--json"]
    both = [
        command.born(*arguments, *common, said=tmp_path / f"{arguments[0]}.log")
        for arguments in (
            ["nightly", "--date", "2026-11-20"],
            ["backfill", "--from", "2026-11-19", "--to", "2026-11-20"],
        )
    ]
    for child in both:
        child.go()
    for child in both:
        assert child.wait() == 0, child.said
    assert_same_tables(contents(lake), contents(few_lake[0]))
    assert Lake(str(lake)).scan("runs").collect().height == 2


def test_who_is_overtaken_stages_again(settings, few, monkeypatch, contents, few_lake):
    """Another run publishes between this one's staging and its publication: it builds upon what stands then."""
    import datetime as dt

    settings |= {"corpus": str(few)}
    publish, overtaken = flows.publish_in_parts.publish, []

    def overtake(run, ledger, base, **more):
        if not overtaken:
            overtaken.append(run.id)
            nightly(date=dt.date(2026, 11, 19), settings=settings | {"look_back_days": 0})
        publish(run, ledger, base, **more)

    monkeypatch.setattr(flows.publish_in_parts, "publish", overtake)
    ledger = backfill(settings=settings)
    assert ledger.attempt == 2, "the one that was overtaken, and the one that was published"
    assert ledger.n_published_recordings == 1, "what the other published is not published again"
    assert_same_tables(contents(settings["lake"]), contents(few_lake[0]))
    commits = [commit[RUN_ID] for commit in Lake(settings["lake"]).delta("utterances").history()]
    assert len(commits) == len(set(commits)) == 2
