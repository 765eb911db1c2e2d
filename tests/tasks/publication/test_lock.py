"""The publish lock: one holder at a time, dead holders replaced, living ones kept whatever the clocks say."""

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
    """Beats every 20 ms; three minutes are a second."""
    for name, value in (("_BEAT_S", 0.02), ("_STALE_S", 1.0), ("_POLL_S", 0.01)):
        monkeypatch.setattr(lock, name, value)


def test_a_second_publisher_waits(lake):
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


def test_many_publishers_hold_the_lock_one_at_a_time(lake, monkeypatch):
    """Each reads a number and writes the next: two at a time would write the same one."""
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


def test_a_lock_of_an_ended_process_is_free(lake):
    code = "import json; from tasks.run.processes import this_process; print(json.dumps(this_process()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    lake.write(NEWEST, _claim(place=gone))
    with lock.hold_lock(lake, "next", patience_s=0):
        pass


def test_a_reused_process_number_does_not_keep_the_lock(lake):
    lake.write(NEWEST, _claim(place={**processes.this_process(), "born": "0"}))
    with lock.hold_lock(lake, "next", patience_s=0):
        pass


def test_a_lock_of_a_killed_process_is_free(tmp_path):
    """A real process, first as a zombie, which still has its number."""
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
def test_a_wrong_clock_does_not_take_the_lock_from_a_live_holder(lake, monkeypatch, years):
    """The holder is on another machine, whose clock says another year."""
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    now = lock.time.time()
    monkeypatch.setattr(lock.time, "time", lambda: now + years * 365 * 86400)
    with pytest.raises(LakeError, match="by the clock of elsewhere"), lock.hold_lock(lake, "next", patience_s=0.3):
        pass


def test_a_silent_holder_on_another_machine_is_dead(lake, impatient):
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    with pytest.raises(LakeError), lock.hold_lock(lake, "next", patience_s=0.3):
        pass
    with lock.hold_lock(lake, "next", patience_s=PATIENCE_S):
        pass


def test_a_paused_waiter_does_not_count_its_pause_as_silence(lake, monkeypatch):
    """Its clock jumps by an hour between two looks: it has to wait on."""
    now, naps = [0.0], [3600.0, 30.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lock.time, "sleep", lambda _s: now.__setitem__(0, now[0] + naps.pop(0)))
    lake.write(NEWEST, _claim(place=ELSEWHERE))
    with pytest.raises(LakeError, match="run dead publishes"), lock.hold_lock(lake, "next", patience_s=3620):
        pass
    assert naps == []


def test_a_holder_declared_dead_notices_and_leaves_its_successor_alone(lake, impatient, monkeypatch):
    """The holder's thread pauses too long, another takes over; the holder resumes, checks, and gives up."""
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


def test_a_paused_waiter_does_not_take_a_number_of_the_past(lake, monkeypatch):
    """It saw the lock free; before it creates the file, others used that number and the next, and removed them."""
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


def test_an_error_releases_the_lock(lake):
    with pytest.raises(RuntimeError), lock.hold_lock(lake, "one"):
        raise RuntimeError
    with lock.hold_lock(lake, "two", patience_s=0):
        pass


def test_lock_files_of_earlier_versions_are_removed(lake):
    lake.write("staging/publish.lock.0123", b"")
    with lock.hold_lock(lake, "one"):
        assert lake.names("staging") == ["publishing"]


@given(st.sampled_from([True, False]), st.text(max_size=5))
def test_no_two_claims_are_equal(free, holder):
    held = lock.HeldLock(Lake("/nowhere"), 1, holder, "2026")
    assert lock._encode_claim(held, free=free) != lock._encode_claim(held, free=free)


def test_the_lock_works_on_s3(s3):
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


def test_a_lock_of_this_process_that_could_not_be_released_is_free(lake, monkeypatch):
    """The credentials had expired: by the file the holder lives, and so does its process."""
    with monkeypatch.context() as expired, lock.hold_lock(lake, "first"):
        expired.setattr(lock, "_write_claim", lambda *_, **__: None)
    with lock.hold_lock(lake, "next", patience_s=0):
        pass


@pytest.mark.parametrize("claim", [b"{", b"\xff", b"7"])
def test_a_damaged_claim_is_that_of_a_silent_holder(claim, lake, impatient):
    lake.write(NEWEST, claim)
    with pytest.raises(LakeError, match="its claim is damaged"), lock.hold_lock(lake, "next", patience_s=0.3):
        pass
    with lock.hold_lock(lake, "next", patience_s=PATIENCE_S):
        pass
