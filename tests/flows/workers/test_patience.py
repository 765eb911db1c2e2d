"""Workers that do not come up, and workers without named semaphores."""

import logging
import multiprocessing.synchronize
import os
import queue
import threading
from types import SimpleNamespace

import pytest
from distributed import KilledWorker, nanny
from helpers.explore_profile import EXPLORES

from data_contracts.errors import ComputeError, UsageError
from flows.settings import Settings
from flows.workers import dask, patience
from flows.workers.pipe_queue import PipeQueue, has_semaphores


@pytest.fixture
def no_semaphores(monkeypatch):
    def refuse(*_args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(multiprocessing.synchronize, "_multiprocessing", SimpleNamespace(SemLock=refuse))
    monkeypatch.setattr(nanny, "get_mp_context", nanny.get_mp_context)


def test_what_a_worker_died_of_ends_the_wait(monkeypatch):
    """A nanny that failed was waited for without end, and its error was logged at a level that nobody sees."""
    monkeypatch.setattr(patience, "_GRACE_S", 0.1)
    logger, may_end = logging.getLogger("distributed.nanny"), threading.Event()
    logger.setLevel(logging.CRITICAL)

    def start():
        try:
            raise OSError(30, "Read-only file system: '/dev/shm'")
        except OSError:
            logger.exception("Failed to start process")
        may_end.wait()

    with pytest.raises(ComputeError, match=r"expected workers .*found OSError: .*'/dev/shm'.*--cluster threads"):
        patience.start_workers(start)
    may_end.set()
    assert logger.level == logging.CRITICAL


def test_workers_that_say_nothing_are_given_up():
    may_end = threading.Event()
    with pytest.raises(ComputeError, match=r"expected workers .*; found none after 0 s"):
        patience.start_workers(may_end.wait, patience_s=0.2)
    may_end.set()


def test_our_own_errors_pass_and_others_name_their_cause():
    def misused():
        raise UsageError("cluster 'cuda' needs the extra")

    def fail():
        raise RuntimeError("Nanny failed to start.") from PermissionError("no room")

    with pytest.raises(UsageError, match="extra"):
        patience.start_workers(misused)
    with pytest.raises(ComputeError, match="found PermissionError: no room"):
        patience.start_workers(fail)
    assert patience.start_workers(lambda: 3) == 3


def test_a_queue_over_a_pipe_is_one_of_multiprocessing(no_semaphores):
    assert not has_semaphores()
    ours = PipeQueue()
    with pytest.raises(queue.Empty):
        ours.get_nowait()
    ours.put({"op": "stop"})
    ours.close()
    assert ours.get_nowait() == {"op": "stop"}
    with pytest.raises(ValueError, match="closed"):
        ours.put(None)


@pytest.mark.skipif(not EXPLORES, reason="takes ten seconds; HYPOTHESIS_PROFILE=explore")
def test_workers_start_stop_and_are_replaced_without_semaphores(no_semaphores):
    """No /dev/shm in hardened containers and in Lambda: the run stood still for ever after `plan`."""
    started = dask.start_cluster(Settings(cluster="processes", workers=1))
    try:
        first = started.client.submit(os.getpid).result()
        with pytest.raises(KilledWorker):
            started.client.submit(os._exit, 1).result()
        assert started.client.submit(os.getpid, pure=False).result() != first
    finally:
        started.close()
