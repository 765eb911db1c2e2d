"""Time travel by run, time and version, and its errors for unknown or removed versions."""

import datetime as dt
from pathlib import Path

import pytest
from helpers.lakes import make_lake
from helpers.small_lake import publish_night, utterance

from data_contracts import lake as lakes
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.time_travel import snapshot_as_of
from flows.workers.embedded_s3 import upload
from tasks.stages.compact import tidy_tables

DAYS = [dt.date(2026, 11, day) for day in (19, 20, 21)]
RUNS = [f"2026112{night}T030000Z-00000{night}" for night in range(3)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """After three nights, a recording each."""
    return _publish_nights(make_lake(tmp_path_factory.mktemp("as_of")), DAYS)


def _publish_nights(lake: Lake, days: list[dt.date]) -> Lake:
    for run_id, day in zip(RUNS, days, strict=True):
        publish_night(lake, run_id, [utterance(f"by {run_id}", day)])
    return lake


def _count_as_of(lake: Lake, when: str) -> tuple[int, list[str]]:
    """Count the nights as of `when`, and list the runs of the ledger."""
    rows = lake.scan("utterances", as_of=when).collect()
    return rows.height, sorted(lake.scan("runs", as_of=when).collect()["run_id"])


def test_a_run_a_time_and_a_version_say_the_same(lake):
    _assert_all_agree(lake)


def test_over_s3_too(lake, s3):
    upload(Path(lake.uri), s3, "lake/")
    _assert_all_agree(lakes.open(f"s3://{s3}/lake"))


def _assert_all_agree(lake: Lake) -> None:
    ledger = lake.scan("runs").collect().sort("run_id")
    for night, (run_id, finished) in enumerate(ledger.select("run_id", "finished").rows()):
        then = (night + 1, RUNS[: night + 1])
        assert _count_as_of(lake, run_id) == then, "its own row of the ledger too"
        assert _count_as_of(lake, finished.isoformat()) == then
        assert _count_as_of(lake, finished.replace(tzinfo=None).isoformat()) == then, "UTC, where no zone is said"
        assert _count_as_of(lake, str(night)) == then
    assert _count_as_of(lake, dt.datetime.now(dt.UTC).date().isoformat()) == (3, RUNS), "a date is over when it is over"


def test_a_moment_before_a_publication_does_not_see_it(lake):
    finished = lake.scan("runs").collect().sort("run_id")["finished"][1]
    assert _count_as_of(lake, (finished - dt.timedelta(microseconds=1)).isoformat()) == (1, RUNS[:1])


@pytest.mark.parametrize(
    ("when", "tables", "words"),
    [
        ("20261120T030000Z-ffffff", ["utterances"], "expected a run that has published.*found '20261120T030000Z-ffff"),
        ("yesterday", ["utterances"], f"an ISO time; found 'yesterday'; the newest runs: {', '.join(RUNS)}"),
        ("2020-01-01", ["utterances"], "by which something was published; found 2020-01-01; the first was finished 20"),
        ("7", ["utterances"], "expected a version of utterances, 0 to 2; found 7"),
        ("0", ["drift_of_tongues"], "never published"),
        ("1", ["utterances", "runs"], "is of one table; found runs, utterances; for several give a run's id or a time"),
        ("1", [], "is of one table; found none"),
    ],
)
def test_errors_for_the_unknown_name_the_known(lake, when, tables, words):
    with pytest.raises(UsageError, match=words):
        snapshot_as_of(lake, when, tables)


def test_a_removed_version_is_named_and_the_newest_kept(tmp_path, monkeypatch):
    lake = _publish_nights(make_lake(tmp_path), [DAYS[0]] * 3)
    monkeypatch.setattr(
        "tasks.publication.compaction._versions_to_keep", lambda _lake, _table, delta, _days: [int(delta.version())]
    )
    tidy_tables.fn(lake, keep_versions_days=0, dry_run=False)
    assert _count_as_of(lake, RUNS[2]) == (3, RUNS), "its versions are gone, and the pointer's say the same"
    for when in (RUNS[0], "0", lake.scan("runs").collect()["finished"].min().isoformat()):
        with pytest.raises(
            UsageError, match=r"utterances at version 0, as of .*; it was removed: `undertone maintain`"
        ):
            lake.scan("utterances", as_of=when)


def test_a_lake_without_a_run(tmp_path):
    lake = lakes.open(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match="the newest runs: none yet"):
        snapshot_as_of(lake, "r1", [])
    with pytest.raises(UsageError, match="found 2026-11-21; none yet"):
        snapshot_as_of(lake, "2026-11-21", [])
