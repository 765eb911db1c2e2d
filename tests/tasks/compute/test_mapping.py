"""Map on a cluster: a window of futures, every result once, transient errors retried, deaths told apart."""

import itertools
import os
import signal
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster, SchedulerPlugin
from helpers import standing_cluster

from data_contracts.errors import ComputeError, ModelError, TransientError
from tasks.compute.mapping import Replacement, map_on_cluster

N_THREADS = 2


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=N_THREADS, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as made,
    ):
        yield made


def test_every_result_once(client):
    assert sorted(map_on_cluster(client, lambda a, b: a * b, [(i, 2) for i in range(50)])) == [2 * i for i in range(50)]


def test_without_a_cluster_it_runs_in_this_process():
    assert list(map_on_cluster(None, lambda a: a + 1, [(1,), (2,)])) == [2, 3]


@pytest.mark.parametrize("local", [True, False])
def test_a_transient_error_is_retried(client, tmp_path, local, monkeypatch):
    monkeypatch.setattr("tasks.compute.mapping._PAUSE_S", 0.01)
    answer = list(map_on_cluster(None if local else client, _fails_twice, [(str(tmp_path), TransientError)], tries=3))
    assert answer == ["third"]


@pytest.mark.parametrize("local", [True, False])
def test_retries_are_limited(client, tmp_path, local, monkeypatch):
    monkeypatch.setattr("tasks.compute.mapping._PAUSE_S", 0.01)
    with pytest.raises(TransientError):
        list(map_on_cluster(None if local else client, _fails_twice, [(str(tmp_path), TransientError)], tries=2))


def test_a_permanent_error_is_raised_at_once(client, tmp_path):
    with pytest.raises(ModelError):
        list(map_on_cluster(client, _fails_twice, [(str(tmp_path), ModelError)], tries=3))
    assert len(list(tmp_path.iterdir())) == 1


class _Counts(SchedulerPlugin):
    """Count the tasks that the scheduler gets, and the most that it holds at a time."""

    name = "counts"

    def __init__(self, scheduler):
        self.scheduler, self.keys, self.most = scheduler, set(), 0

    def transition(self, key, start, finish, *args, **kwargs):
        if key.startswith("abs-"):  # those of other tests may still be here
            self.keys.add(key)
        unfinished = {"waiting", "queued", "no-worker", "processing"}
        states = [task.state for task in self.scheduler.tasks.values() if task.key in self.keys]
        self.most = max(self.most, sum(state in unfinished for state in states))


def test_only_a_few_tasks_a_worker_are_in_flight(client):
    scheduler = client.cluster.scheduler
    counts, begun, done = _Counts(scheduler), itertools.count(), 0
    scheduler.add_plugin(counts)
    items, ahead = ((next(begun),) for _ in range(200)), 0
    for _ in map_on_cluster(client, abs, items):
        done += 1
        ahead = max(ahead, int(repr(begun)[6:-1]) - done)
    scheduler.remove_plugin("counts")
    assert done == len(counts.keys) == 200, "one task a shard"
    assert ahead <= 4 * N_THREADS
    assert counts.most <= 4 * N_THREADS


def test_items_are_read_as_they_are_needed(client):
    assert next(map_on_cluster(client, abs, ((number,) for number in itertools.count(1)))) <= 4 * N_THREADS


def test_the_fallback_replaces_an_item_that_needs_too_much_memory(client):
    told = []

    def halves(item, n_deaths):
        told.append((item[0], n_deaths))
        low, high = item
        if high - low == 1:
            return Replacement(results=[{low: "given up"}])
        return Replacement(items=[(low, (low + high) // 2), ((low + high) // 2, high)])

    found = {}
    for part in map_on_cluster(
        client, _too_much_with_5, [(first, first + 4) for first in range(0, 16, 4)], fallback=halves
    ):
        assert not found.keys() & part.keys()
        found |= part
    assert found == {number: "given up" if number == 5 else "done" for number in range(16)}
    assert told == [(4, 2), (4, 3), (5, 4)], "once beside others, and alone from then on"


def test_without_a_fallback_the_error_names_the_item(client):
    with pytest.raises(ComputeError, match=r"3 times over 6 \(MemoryError: no room\): set fewer workers"):
        list(map_on_cluster(client, _too_much_with_5, [(0, 2), (4, 6)]))


@pytest.fixture(scope="module")
def mortal():
    """Workers in processes of their own, whose deaths are counted here and not by Dask."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as made,
    ):
        yield made


def test_tasks_beside_a_fatal_one_are_not_blamed(mortal):
    blamed = []

    def give_up(item, n_deaths):
        blamed.append((item, n_deaths))
        return Replacement(items=[item]) if n_deaths < 3 else Replacement(results=[-item[0]])

    found = list(map_on_cluster(mortal, _dies_of_7, [(number,) for number in range(1, 13)], fallback=give_up))
    assert sorted(found, key=abs) == [-number if number == 7 else number for number in range(1, 13)]
    assert blamed == [((7,), 2), ((7,), 3)]


def test_workers_that_die_of_every_task_end_the_map(mortal, monkeypatch):
    monkeypatch.setattr("tasks.compute.mapping._MAX_EARLY_DEATHS", 4)
    with pytest.raises(ComputeError, match="workers died"):
        list(map_on_cluster(mortal, _dies_of_7, [(7,)] * 6, fallback=lambda item, _: Replacement(items=[item])))


def test_a_cluster_without_workers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.compute.cluster._WORKERS_S", 0.1)
    monkeypatch.setattr("tasks.compute.mapping._POLL_S", 0.1)
    with (
        standing_cluster.cluster(tmp_path, workers=0) as address,
        Client(address, set_as_default=False) as made,
        pytest.raises(ComputeError, match=f"expected workers at the Dask scheduler {address}; found none"),
    ):
        list(map_on_cluster(made, abs, [(1,)]))


def test_a_dead_scheduler_is_an_error_that_says_what_to_do(tmp_path):
    with (
        standing_cluster.scheduler(tmp_path / "scheduler") as (address, process),
        standing_cluster.worker(address, tmp_path / "worker"),
        Client(address, set_as_default=False, timeout="2s") as made,
    ):
        found = map_on_cluster(made, abs, ((number,) for number in itertools.count()))
        assert next(found) in range(8)
        process.send_signal(signal.SIGKILL)
        with pytest.raises(ComputeError, match=f"scheduler at {address} to go on .* start it and its workers"):
            list(found)


def test_a_restarted_scheduler_goes_on(tmp_path):
    with (
        standing_cluster.scheduler(tmp_path / "scheduler") as (address, process),
        standing_cluster.worker(address, tmp_path / "worker"),
        Client(address, set_as_default=False, timeout="60s") as made,
    ):
        found = map_on_cluster(made, abs, ((number,) for number in range(100)))
        some = list(itertools.islice(found, 10))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with (
            standing_cluster.scheduler(tmp_path / "scheduler", port=int(address.rsplit(":", 1)[1])),
            standing_cluster.worker(address, tmp_path / "another"),
        ):
            assert sorted([*some, *found]) == list(range(100))


def _too_much_with_5(low, high):
    if low <= 5 < high:
        raise MemoryError("no room")
    return dict.fromkeys(range(low, high), "done")


def _dies_of_7(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _fails_twice(folder, error):
    for attempt in itertools.count(1):
        try:
            (Path(folder) / str(attempt)).touch(exist_ok=False)
            break
        except FileExistsError:
            continue
    if attempt < 3:
        raise error(f"attempt {attempt}")
    return "third"
