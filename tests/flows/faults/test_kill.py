"""Promise 1 with real processes: kill -9 at each stage and at any store request, then a second run."""

import pytest
from helpers.explore_profile import only_exploring, unless_exploring
from helpers.faulty_s3 import Fault
from helpers.tables import assert_same_tables
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_contracts.lake import Lake
from flows.analytics.runs import recent_runs
from flows.backfill import backfill
from flows.workers.embedded_s3 import upload

N_REQUESTS = 560  # of a run over the three files, give or take

DEATHS = {
    "discover": Fault("kill", on="GET .*prefix=calls"),
    "plan": Fault("kill_after", on="PUT .*/plan/"),
    "extract": Fault("kill", on="PUT .*/features/recordings/"),
    "integrate": Fault("kill", on="PUT .*/pending"),
    "identify": Fault("kill_after", on="PUT .*/identities"),
    "score": Fault("kill_after", on="PUT .*/scores/"),
    "tables": Fault("kill", on="PUT .*/tables/speakers"),
    "audit": Fault("kill", on="PUT .*/validation/"),
    "publish": Fault("kill_after", on="PUT .*/analytics/recordings/_delta_log"),
}
"""In each stage a request at which the process is killed; the store does what it was asked for, or does not."""
SEEN = {"extract", "audit", "publish"}  # stages long enough that the word of their beginning has surely arrived


@pytest.fixture
def there(settings, faulty, s3, few):
    upload(few, s3, "calls/")
    return settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake", "workers": 1}


@pytest.mark.slow
def test_killed_in_each_stage_one_after_the_other(there, command, faulty, few_lake, contents, tmp_path):
    """Each run goes on from what the one before it left, and dies a stage later."""
    lake = Lake(there["lake"])
    stages = unless_exploring(["extract", "audit", "publish"], list(DEATHS))
    for stage in stages:
        death = DEATHS[stage]
        assert _killed(command, faulty, there, death, tmp_path) == -9, f"nobody came to {death.on}"
        newest = recent_runs(lake, 1).to_pylist()[0]
        assert newest["status"] == "dead"
        if stage in SEEN:
            assert newest["stage"] == stage
        if stage != "publish":
            assert lake.names("analytics") == [], "nothing is visible before it is published"
    faulty.do()
    backfill(settings=there)
    statuses = [row["status"] for row in recent_runs(lake, 20).to_pylist()]
    assert statuses == ["done", "done", *["dead"] * (len(stages) - 1)], "who died publishing was finished"
    _same(there, few_lake, contents)


@pytest.mark.slow
@only_exploring
def test_killed_at_any_request(there, command, faulty, few_lake, contents, tmp_path):
    """Kills repeat; each last request is either done or not."""

    @hypothesis_settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.lists(st.tuples(st.integers(1, N_REQUESTS), st.sampled_from(["kill", "kill_after"])), min_size=1, max_size=2)
    )
    def property_over_the_time_of_death(deaths):
        Lake(there["lake"]).remove("")
        for first, do in deaths:
            assert _killed(command, faulty, there, Fault(do, first=first), tmp_path) in {-9, 0}
        faulty.do()
        backfill(settings=there)
        _same(there, few_lake, contents)

    property_over_the_time_of_death()


def _killed(command, faulty, there, death, tmp_path):
    """Runs until the fault; the child's exit code."""
    where = ("--corpus", there["corpus"], "--lake", there["lake"], "--cluster", "threads", "--workers", "1")
    child = command.born("backfill", *where, said=tmp_path / "said.txt")
    faulty.do(Fault(**{**vars(death), "pid": child.pid}))
    child.go()
    return child.wait()


def _same(there, few_lake, contents):
    """The tables are those of a run without a death, and no commit was made twice."""
    found = contents(there["lake"])
    assert_same_tables(found, contents(few_lake[0]), by=2e-3)
    for table in found:
        commits = Lake(there["lake"]).delta(table).history()
        stamps = [
            tuple((key, value) for key, value in commit.items() if key.startswith("undertone.")) for commit in commits
        ]
        assert len(stamps) == len(set(stamps)), f"{table} was published twice by one run"
