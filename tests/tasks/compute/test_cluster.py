"""Tasks on their way to a worker and their errors on the way back."""

import datetime as dt
import pickle

import distributed  # noqa: F401 - first: it teaches pickle the exception classes that exist by then
import pytest
from helpers.lakes import make_lake
from helpers.runs import make_run

from data_contracts.errors import ComputeError
from features.corpus.layout import Corpus
from tasks.compute import cluster
from tasks.run.context import RejectFilter


def test_another_release_is_refused_by_the_worker(monkeypatch):
    monkeypatch.setattr(cluster, "installed_version", lambda: "0.9.0")
    with pytest.raises(ComputeError, match=r"expected workers with Undertone 1\.0\.0, .* found 0\.9\.0"):
        cluster._perform("1.0.0", abs, (-1,))
    assert cluster._perform("0.9.0", abs, (-1,)) == 1


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_errors_of_too_little_memory_become_one_class(error):
    with pytest.raises(cluster.OutOfMemory, match=str(error)[:7]):
        cluster._perform(cluster.installed_version(), _raise, (error,))


def test_other_errors_keep_their_class():
    with pytest.raises(RuntimeError, match="shapes"):
        cluster._perform(cluster.installed_version(), _raise, (RuntimeError("shapes do not fit"),))


class _NotPicklable(Exception):  # noqa: N818
    def __init__(self, code, words):
        super().__init__(f"{code}: {words}")


@pytest.mark.parametrize("error", [_NotPicklable(503, "slow down"), RecursionError("too deep")])
def test_an_error_that_cannot_be_pickled_keeps_its_message(error):
    with pytest.raises(ComputeError, match=f"{type(error).__name__}: {error}"):
        cluster._perform(cluster.installed_version(), _raise, (error,))


def test_a_run_for_workers_is_small_even_for_ten_years(tmp_path):
    years = tuple(dt.date(2016, 1, 1) + dt.timedelta(days=day) for day in range(3_650))
    uris = tuple(f"s3://corpus/{number}.flac" for number in range(10_000))
    lake, corpus = make_lake(tmp_path), Corpus(str(tmp_path))
    one, many = (
        make_run(lake, *dates, corpus=corpus, retry=RejectFilter(uris=rejects))
        for dates, rejects in ((years[:1], ("a",)), (years, uris))
    )
    assert len(pickle.dumps(one.for_workers())) == len(pickle.dumps(many.for_workers())) < 3_000


def _raise(error):
    raise error
