"""Commits: written once where the answer is lost, and opening only files of their dates."""

import datetime as dt

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

import tasks.publication.commit
from data_contracts.errors import LakeError, TransientError
from data_contracts.schema import tables
from tasks.publication.commit import RUN_ID, Change, commit, commits

DAYS = [dt.date(2026, 11, 1) + dt.timedelta(days=n) for n in range(4)]
SCHEMA = tables.utterances_schema(())


def test_files_of_other_dates_are_not_opened(lake):
    for day in DAYS:
        commit(lake, _change([(str(day), day)]), {RUN_ID: str(day)}, since=None)
    commit(lake, _change([(str(DAYS[1]), DAYS[1])], dates=DAYS[1:2]), {RUN_ID: "again"}, since=None)
    newest = lake.delta("utterances").history(1)[0]["operationMetrics"]
    assert newest["num_target_files_scanned"] == 1
    assert newest["num_target_files_skipped_during_scan"] == 3


def test_a_recording_that_changes_its_date_is_found_by_both(lake):
    commit(lake, _change([("a", DAYS[0])]), {RUN_ID: "1"}, since=None)
    commit(lake, _change([("a", DAYS[3])], dates=[DAYS[0], DAYS[3]]), {RUN_ID: "2"}, since=None)
    assert lake.scan("utterances").collect()["date"].to_list() == [DAYS[3]]


def test_hundreds_of_dates_become_a_range(lake):
    many = [DAYS[0] + dt.timedelta(days=n) for n in range(900)]
    commit(lake, _change([(str(day), day) for day in many]), {RUN_ID: "1"}, since=None)
    commit(lake, _change([(str(day), day) for day in many], dates=many), {RUN_ID: "2"}, since=None)
    assert lake.scan("utterances").collect().height == len(many)


def test_a_commit_whose_answer_was_lost_is_not_written_twice(lake, monkeypatch):
    write = tasks.publication.commit._write

    def write_and_lose_the_answer(*arguments):
        write(*arguments)
        raise CommitFailedError("the connection was reset")

    monkeypatch.setattr(tasks.publication.commit, "_write", write_and_lose_the_answer)
    commit(lake, _change([("a", DAYS[0])]), {RUN_ID: "1"}, since=-1)
    commit(lake, _change([("b", DAYS[0])]), {RUN_ID: "2"}, since=0)
    assert lake.delta("utterances").version() == 1


@pytest.mark.parametrize(("kind", "ours"), [(CommitFailedError, TransientError), (DeltaError, LakeError)])
def test_a_failed_commit_is_an_error(lake, monkeypatch, kind, ours):
    def fail(*_arguments):
        raise kind("the connection was reset")

    monkeypatch.setattr(tasks.publication.commit, "_write", fail)
    with pytest.raises(ours, match=r"publishing .*utterances: the connection was reset"):
        commit(lake, _change([("a", DAYS[0])]), {RUN_ID: "1"}, since=-1)


def test_compaction_changes_no_row(lake):
    for day in DAYS:
        commit(lake, _change([(str(day), day)]), {RUN_ID: str(day)}, since=None)
    table = lake.delta("utterances")
    base = table.version()
    for n in range(3):
        commit(lake, _change([(f"b{n}", DAYS[0])], dates=DAYS[:1]), {RUN_ID: f"b{n}"}, since=None)
    n_commits = len(commits(lake.delta("utterances"), base))
    DeltaTable(lake.uri_of("analytics", "utterances")).optimize.compact()
    assert lake.delta("utterances").version() > base + n_commits, "there was something to compact"
    assert len(commits(lake.delta("utterances"), base)) == n_commits == 3


def _change(keys, *, dates=None):
    rows = [
        {
            "recording_id": name,
            "channel": 0,
            "segment": 0,
            "start_s": 0.0,
            "end_s": 1.0,
            "speaker_id": "spk",
            "speaker_score": 1.0,
            "speaker_known": False,
            "emotion_model": "e/1",
            "speaker_model": "s/1",
            "feature_version": "v",
            "run_id": "r",
            "date": day,
        }
        for name, day in keys
    ]
    return Change("utterances", pa.Table.from_pylist(rows, schema=SCHEMA), dates=dates)
