"""The heartbeat of a run: when it is written, and when the run counts as dead."""

import datetime as dt
import json
import os
import subprocess
import sys
import time

import pytest

from data_contracts.lake import Lake
from tasks.run import heartbeat as hearts
from tasks.run import processes
from tasks.run.heartbeat import heartbeat, liveness
from tasks.run.ledger import Ledger

STARTED = dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC)
ALIVE = "staging/run=r1/alive.json"
PATIENCE_S = 60


@pytest.fixture
def ledger():
    return Ledger("r1", "nightly", STARTED)


@pytest.fixture
def lake(lake_anywhere):
    return lake_anywhere


def test_every_stage_is_written_at_once(lake, ledger):
    """Every twenty seconds would not do: most stages are shorter."""
    with heartbeat(lake, ledger):
        for stage in ("discover", "extract", "audit"):
            with ledger.timed(stage):
                _wait_for(lambda stage=stage: _heartbeat(lake).get("stage") == stage)
        sign = liveness(lake, ledger)
        assert (sign.stage, sign.is_dead) == ("audit", False)
        assert _heartbeat(lake)["place"] == processes.this_process()
    assert not lake.exists(ALIVE), "what ended gives no sign of life"


def test_it_beats_during_a_long_stage(lake, ledger, monkeypatch):
    monkeypatch.setattr(hearts, "_BEAT_S", 0.05)
    with heartbeat(lake, ledger), ledger.timed("extract"):
        _wait_for(lambda: _heartbeat(lake))
        first = _heartbeat(lake)["when"]
        _wait_for(lambda: _heartbeat(lake)["when"] > first)


def test_an_unreachable_lake_stops_no_run(lake, ledger, monkeypatch, tmp_path):
    from data_contracts.errors import TransientError

    def unreachable(*_args):
        tried.append(1)
        raise TransientError("reset")

    tried: list[int] = []
    with monkeypatch.context() as outage:
        outage.setattr(Lake, "write", unreachable)
        with heartbeat(lake, ledger):
            _wait_for(lambda: tried)
            outage.undo()
            with ledger.timed("extract"):
                _wait_for(lambda: _heartbeat(lake).get("stage") == "extract")


def test_three_minutes_of_silence_by_the_stores_clock_mean_dead(lake, ledger, monkeypatch):
    """Whatever the clocks of the writing and of the asking machine say."""
    word = {"stage": "extract", "place": {**processes.this_process(), "machine": "elsewhere"}, "when": "2062-01-01"}
    lake.write_json(ALIVE, word)
    assert not liveness(lake, ledger).is_dead
    with monkeypatch.context() as wrong:
        if not lake.is_local:
            now = time.time()
            wrong.setattr(time, "time", lambda: now + 365 * 86400)
        assert not liveness(lake, ledger).is_dead
    monkeypatch.setattr(Lake, "age_s", lambda _lake, path: 179.0 if path == ALIVE else 0.0)
    assert not liveness(lake, ledger).is_dead
    monkeypatch.setattr(Lake, "age_s", lambda _lake, path: 181.0 if path == ALIVE else 0.0)
    assert liveness(lake, ledger) == hearts.Liveness("extract", is_dead=True)


def test_age_comes_from_the_store(lake):
    lake.write("old", b"")
    if lake.is_local:
        os.utime(lake.uri_of("old"), (time.time() - 500, time.time() - 500))
        assert 499 < lake.age_s("old") < 600
    else:
        assert 0 <= lake.age_s("old") < 300
    with pytest.raises(FileNotFoundError):
        lake.age_s("nothing")


def test_an_ended_process_of_this_machine_is_dead_at_once(lake, ledger):
    code = "import json; from tasks.run.processes import this_process; print(json.dumps(this_process()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    lake.write_json(ALIVE, {"stage": "score", "place": gone})
    assert liveness(lake, ledger) == hearts.Liveness("score", is_dead=True)
    lake.write_json(ALIVE, {"stage": "score", "place": {**gone, "machine": "elsewhere"}})
    assert not liveness(lake, ledger).is_dead, "the same number elsewhere is another process"


def test_a_run_without_a_heartbeat_is_judged_by_its_ledger(lake, ledger, monkeypatch):
    """Killed at its start, or started by a version without a heartbeat: its saved ledger is the last sign of life."""
    ledger.save(lake)
    assert liveness(lake, ledger) == hearts.Liveness("", is_dead=False)
    monkeypatch.setattr(Lake, "age_s", lambda _lake, path: {"staging/run=r1/run.json": 181.0}[path])
    assert liveness(lake, ledger) == hearts.Liveness("", is_dead=True)


def _heartbeat(lake):
    try:
        return lake.read_json(ALIVE)
    except FileNotFoundError:
        return {}


def _wait_for(condition):
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")
