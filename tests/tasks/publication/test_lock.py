"""One publisher at a time, none stopped by the dead, and none robbed because two clocks differ."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import LakeError, PublishConflict
from data_contracts.lake import Lake
from tasks.publication import lock
from tasks.run import processes
from tasks.run.staging_paths import PUBLISH_LOCK

NEWEST = f"{PUBLISH_LOCK}/00000001"
ELSEWHERE = {**processes.this_process(), "machine": "elsewhere", "host": "elsewhere"}
PATIENCE_S = 60


@pytest.fixture
def impatient(monkeypatch):
    """Signs of life every 20 ms; three minutes are a second."""
    for name, value in (("_BEAT_S", 0.02), ("_STALE_S", 1.0), ("_POLL_S", 0.01)):
        monkeypatch.setattr(lock, name, value)


def test_the_second_waits_for_the_first(lake):
    order = []
    inside, go = threading.Event(), threading.Event()

    def first():
        with lock.hold_lock(lake, "first"):
            inside.set()
            go.wait(PATIENCE_S)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(PATIENCE_S)
    with pytest.raises(LakeError, match="run first publishes"), lock.hold_lock(lake, "second", patience_s=0.5):
        pass
    go.set()
    with lock.hold_lock(lake, "second"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_of_many_at_once_one_at_a_time(lake, monkeypatch):
    """Each reads a number, and writes the next: two at a time would write the same one."""
    monkeypatch.setattr(lock, "_POLL_S", 0.005)
    lake.write("n", b"0")

    def count(name):
        for _ in range(5):
            with lock.hold_lock(lake, name, patience_s=PATIENCE_S):
                lake.write("n", str(int(lake.read("n")) + 1).encode())

    threads = [threading.Thread(target=count, args=(f"run {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.read("n") == b"30"
    assert len(lake.names(PUBLISH_LOCK)) == 1, "what earlier holders left is tidied away"


def test_a_process_that_is_gone_holds_nothing(lake):
    code = "import json; from tasks.run.processes import this_process; print(json.dumps(this_process()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    lake.write(NEWEST, _claim(place=gone))
    with lock.hold_lock(lake, "next", patience_s=0):
        pass


def test_its_number_given_to_another_process_makes_it_no_less_dead(lake):
    lake.write(NEWEST, _claim(place={**processes.this_process(), "born": "0"}))
    with lock.hold_lock(lake, "next", patience_s=0):
        pass


def test_who_is_killed_while_it_holds_the_lock_holds_nothing(tmp_path):
    """A real one, which nobody has asked for its status yet: it still has a number."""
    code = f"""
import sys, time
from data_contracts.lake import Lake
from tasks.publication.lock import hold_lock
with hold_lock(Lake({str(tmp_path)!r}), "dead"):
    print("held", flush=True)
    time.sleep({PATIENCE_S})
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    lake = Lake(str(tmp_path))
    with pytest.raises(LakeError, match="run dead publishes"), lock.hold_lock(lake, "next", patience_s=0):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    with lock.hold_lock(lake, "next", patience_s=PATIENCE_S):
        pass
    holder.communicate()


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_is_wrong_robs_nobody(lake, monkeypatch, years):
    """The holder lives elsewhere, where it is another year."""
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    now = lock.time.time()
    monkeypatch.setattr(lock.time, "time", lambda: now + years * 365 * 86400)
    with pytest.raises(LakeError, match="by the clock of elsewhere"), lock.hold_lock(lake, "next", patience_s=0.3):
        pass


def test_a_holder_elsewhere_who_went_silent_is_dead(lake, impatient):
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    with pytest.raises(LakeError), lock.hold_lock(lake, "next", patience_s=0.3):
        pass
    with lock.hold_lock(lake, "next", patience_s=PATIENCE_S):
        pass


def test_a_waiter_that_slept_takes_its_sleep_for_nobodys_silence(lake, monkeypatch):
    """Its clock jumps by an hour between two looks: it has to look on."""
    now, naps = [0.0], [3600.0, 30.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lock.time, "sleep", lambda _s: now.__setitem__(0, now[0] + naps.pop(0)))
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    with pytest.raises(LakeError, match="run dead publishes"), lock.hold_lock(lake, "next", patience_s=3620):
        pass
    assert naps == []


def test_who_was_taken_for_dead_notices_and_takes_nothing_from_its_heir(lake, impatient, monkeypatch):
    """The holder's thread sleeps through its time, another takes over; the sleeper wakes, checks, and lets go."""
    asleep, said = threading.Event(), lock._write_claim
    monkeypatch.setattr(lock, "_write_claim", lambda held, **how: None if asleep.is_set() else said(held, **how))
    with lock.hold_lock(lake, "sleeper") as held:
        held.check()
        asleep.set()
        heir = lock.hold_lock(lake, "heir", patience_s=PATIENCE_S)
        after = heir.__enter__()
        asleep.clear()
        with pytest.raises(PublishConflict, match="sleeper gave no sign of life"):
            held.check()
    after.check()
    with pytest.raises(LakeError, match="run heir publishes"), lock.hold_lock(lake, "third", patience_s=0):
        pass
    heir.__exit__(None, None, None)
    with lock.hold_lock(lake, "third", patience_s=0):
        pass


def test_a_waiter_that_slept_does_not_take_a_number_of_the_past(lake, monkeypatch):
    """It saw the lock free; until it makes the file, others had that number and the next, and tidied up."""
    create = Lake.create
    with lock.hold_lock(lake, "first"):
        pass

    def late(self, path, data):
        monkeypatch.setattr(Lake, "create", create)
        for name in ("second", "third"):
            with lock.hold_lock(lake, name, patience_s=0):
                pass
        assert create(self, path, data), "the number is free again"
        return True

    monkeypatch.setattr(Lake, "create", late)
    with lock.hold_lock(lake, "slow", patience_s=0) as held:
        assert held.number == 4
        assert lake.names(PUBLISH_LOCK) == ["00000004"]


def test_an_error_gives_the_lock_back(lake):
    with pytest.raises(RuntimeError), lock.hold_lock(lake, "one"):
        raise RuntimeError
    with lock.hold_lock(lake, "two", patience_s=0):
        pass


def test_what_earlier_versions_left_is_tidied_away(lake):
    lake.write("staging/publish.lock.0123", b"")
    with lock.hold_lock(lake, "one"):
        assert lake.names("staging") == ["publishing"]


@given(st.sampled_from([True, False]), st.text(max_size=5))
def test_no_two_claims_are_alike(free, holder):
    held = lock.HeldLock(Lake("/nowhere"), 1, holder, "2026")
    assert lock._encode_claim(held, free=free) != lock._encode_claim(held, free=free)


def test_the_same_on_s3(s3):
    lake = Lake(f"s3://{s3}/lake")
    with lock.hold_lock(lake, "one") as held:
        held.check()
        with pytest.raises(LakeError), lock.hold_lock(lake, "two", patience_s=0):
            pass
    with lock.hold_lock(lake, "two", patience_s=0) as held:
        held.check()
    assert lake.names(PUBLISH_LOCK) == ["00000002"]


def _claim(**known):
    base = {"holder": "dead", "since": "2026-11-22T03:00:00Z", "free": False, "place": processes.this_process()}
    return json.dumps({**base, **known}).encode()


def test_a_holder_of_this_process_that_could_not_say_that_it_ended_holds_nothing(lake, monkeypatch):
    """Its credentials expired: the file says that it lives, and so does its process."""
    with monkeypatch.context() as expired, lock.hold_lock(lake, "first"):
        expired.setattr(lock, "_write_claim", lambda *_, **__: None)
    with lock.hold_lock(lake, "next", patience_s=0):
        pass
