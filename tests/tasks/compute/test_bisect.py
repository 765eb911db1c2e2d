"""Bisection of a shard that kills workers: halves that a later attempt finds again, and a reject at the end."""

import datetime as dt

import pytest
from helpers.attempts import attempts
from helpers.lakes import make_lake
from helpers.runs import make_run

from data_contracts.records import AudioObject
from features.corpus import shard_plan
from features.extraction.long_recording import LongRef
from features.extraction.utterances import Embedder
from features.store import shard_files
from tasks.compute.bisect import bisect_shard, reject_after_tries, replanned_shards, split_off_long
from tasks.compute.mapping import Replacement
from tasks.workers.extract import assemble_fallback, describe_fallback, survey_fallback

DAY = dt.date(2026, 11, 21)
EMBEDDERS = {"embeddings": Embedder(lambda *_: None, 4)}


@pytest.fixture
def run(tmp_path):
    return make_run(make_lake(tmp_path), DAY)


def _members(n):
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    return [AudioObject(f"s3://calls/{number}.flac", "e", 100 + number, DAY, now) for number in range(n)]


def _planned(run, n):
    members = _members(n)
    shard = shard_plan.shard_id(members, "v1")
    return shard_plan.write_plan(run.lake, f"staging/run={run.id}/plan", members, shard=shard)


def _plans(run):
    return run.lake.names(f"staging/run={run.id}/plan/date={DAY}")


def test_halves_are_named_by_their_members_and_replace_the_shard(run):
    ref = _planned(run, 5)
    instead = bisect_shard(run, EMBEDDERS)((run, ref), 2)
    assert not instead.results
    halves = [half for _, half in instead.items]
    assert [shard_plan.read_plan(run.lake, half) for half in halves] == [_members(5)[:2], _members(5)[2:]]
    assert [half.id for half in halves] == [
        shard_plan.shard_id(_members(5)[:2], "v1"),
        shard_plan.shard_id(_members(5)[2:], "v1"),
    ]
    assert _plans(run) == sorted(f"{half.id}.parquet" for half in halves), "the audit counts what is planned"


def test_a_later_attempt_starts_with_the_parts(run):
    ref, other = _planned(run, 4), _planned(run, 1)
    halves = [half for _, half in bisect_shard(run, EMBEDDERS)((run, ref), 2).items]
    quarters = [part for _, part in bisect_shard(run, EMBEDDERS)((run, halves[1]), 3).items]
    assert replanned_shards(run, [ref, other]) == [halves[0], *quarters, other]


def test_a_later_attempt_finds_split_off_long_recordings(run):
    ref = _planned(run, 3)
    (own,) = split_off_long(run, ref, _members(3)[1:2])
    rest, again = replanned_shards(run, [ref])
    assert (rest.id, rest.n_objects, again) == (ref.id, 2, own)


def test_one_recording_is_retried_and_then_rejected_as_retryable(run):
    ref = _planned(run, 1)
    instead = bisect_shard(run, EMBEDDERS)
    assert instead((run, ref), 2) == Replacement(items=[(run, ref)])
    ((same, done),) = instead((run, ref), 3).results
    assert same == ref
    assert (done.counts.n_objects, done.counts.n_rejected, done.counts.n_bytes) == (1, 1, 100)
    (row,) = shard_files.read(run.lake, "recordings", "v1", DAY, ref.id).to_pylist()
    assert (row["status"], row["reason"], row["tries"], row["recording_id"]) == ("rejected", "unreadable", 1, None)
    assert "workers died, or ran out of memory, 3 times over it" in row["error"]
    assert not attempts(run.lake, "v1", DAY)["s3://calls/0.flac", "e"].is_done


@pytest.mark.parametrize("dies", ["survey", "describe", "assemble"])
def test_a_long_recording_that_kills_workers_becomes_one_reject(run, dies):
    ref = _planned(run, 1)
    if dies == "survey":
        ((long, _),) = reject_after_tries(run, survey_fallback)((run, ref), 3).results
        assert long == LongRef(ref, f"staging/run={run.id}/long/{ref.id}", 0)
        instead = reject_after_tries(run, assemble_fallback)((run, long), 3)
    else:
        ((long, _),) = reject_after_tries(run, survey_fallback)((run, ref), 3).results  # its row is written over below
        long = LongRef(ref, long.folder, 2)
        if dies == "describe":
            reject_after_tries(run, describe_fallback)((run, long, 1), 3)
        instead = reject_after_tries(run, assemble_fallback)((run, long), 3)
    (counts,) = instead.results
    assert (counts.n_objects, counts.n_rejected) == (1, 1)
    (row,) = shard_files.read(run.lake, "recordings", "v1", DAY, ref.id).to_pylist()
    assert (row["status"], row["reason"]) == ("rejected", "unreadable")
