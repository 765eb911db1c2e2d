"""Futures over a cluster: every result once, only the transient tried again."""

import itertools
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from data_contracts.errors import ModelError, TransientError
from tasks.scatter import scatter


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as made,
    ):
        yield made


def test_every_result_once(client):
    assert sorted(scatter(client, lambda a, b: a * b, [(i, 2) for i in range(50)])) == [2 * i for i in range(50)]


def test_without_a_cluster_it_happens_here():
    assert list(scatter(None, lambda a: a + 1, [(1,), (2,)])) == [2, 3]


@pytest.mark.parametrize("local", [True, False])
def test_the_transient_is_tried_again(client, tmp_path, local, monkeypatch):
    monkeypatch.setattr("tasks.scatter._PAUSE_S", 0.01)
    answer = list(scatter(None if local else client, _fails_twice, [(str(tmp_path), TransientError)], tries=3))
    assert answer == ["third"]


@pytest.mark.parametrize("local", [True, False])
def test_not_for_ever(client, tmp_path, local, monkeypatch):
    monkeypatch.setattr("tasks.scatter._PAUSE_S", 0.01)
    with pytest.raises(TransientError):
        list(scatter(None if local else client, _fails_twice, [(str(tmp_path), TransientError)], tries=2))


def test_what_will_not_mend_is_raised_at_once(client, tmp_path):
    with pytest.raises(ModelError):
        list(scatter(client, _fails_twice, [(str(tmp_path), ModelError)], tries=3))
    assert len(list(tmp_path.iterdir())) == 1


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
