"""A standing Dask cluster: hosts that share only S3, some with a GPU, and a scheduler that dies."""

import contextlib
import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from distributed import Client
from helpers import standing_cluster
from helpers.corpora import sample_corpus
from helpers.explore_profile import only_exploring
from helpers.once import make_once
from helpers.tables import assert_same_tables

from data_contracts.errors import ComputeError
from flows.backfill import backfill
from flows.workers import dask
from flows.workers.embedded_s3 import upload
from tasks.compute.cluster import GPU

NAMES = ("call-0011-voice-a", "call-0012-voice-b", "call-0013-voice-c", "call-0015-voice-f", "call-0033-truncated")


@pytest.fixture
def corpus(tmp_path):
    """Four recordings of one date, and one that is cut off."""
    return sample_corpus(tmp_path / "corpus", *(f"20/{name}.flac" for name in NAMES))


@pytest.fixture
def expected(settings, tmp_path_factory, contents):
    """The tables of a run over the same recordings by threads."""

    def make(folder):
        corpus = sample_corpus(folder / "corpus", *(f"20/{name}.flac" for name in NAMES))
        backfill(settings=settings | {"corpus": str(corpus), "lake": str(folder / "lake")})
        return contents(folder / "lake")

    return make_once(tmp_path_factory, "standing", make)


def _host(folder: Path) -> dict[str, str]:
    """The environment of a machine of its own."""
    names = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    for name in names:
        (folder / name.lower()).mkdir(parents=True)
    return {name: str(folder / name.lower()) for name in names}


@only_exploring
@pytest.mark.slow
def test_hosts_that_share_nothing_but_s3(settings, corpus, s3, expected, contents, tmp_path):
    """Waveform tasks go to the two workers that offer a GPU; the tables equal those of threads."""
    upload(corpus, s3, "calls/")
    del settings["registry"]  # beside each driver's own state; the models' artifacts lie in the lake
    here = settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake", "shard_bytes": 200_000}
    with ExitStack() as stack:
        address, _ = stack.enter_context(standing_cluster.scheduler(tmp_path / "scheduler"))
        for name, offers in {"one": 1, "two": 1, "three": 0}.items():
            options = ("--name", name, *(("--resources", f"{GPU}=1") if offers else ()))
            host = _host(tmp_path / name)
            stack.enter_context(standing_cluster.worker(address, tmp_path / name, *options, environment=host))
        watcher = stack.enter_context(Client(address, set_as_default=False))
        watcher.wait_for_workers(3)
        names = watcher.run(lambda dask_worker: dask_worker.name)  # asked of each: the scheduler's own word comes late
        watcher.get_task_stream()  # from now on
        ledger = backfill(settings=here | {"cluster": address})
        done = [(task["key"].split("-")[0], names[task["worker"]]) for task in watcher.get_task_stream()]
    assert (ledger.extracted.n_objects, ledger.extracted.n_rejected) == (5, 1)
    assert {worker for task, worker in done if task == "extract_one"} == {"one", "two"}
    assert {task for task, _ in done} >= {"extract_one", "score_one"}
    left = {path.name for name in ("one", "two") for path in (tmp_path / name).iterdir()}
    assert not {name for name in left if name.endswith(".db") or "mlruns" in name}, "no registry in passing"
    assert_same_tables(contents(here["lake"]), expected)


def test_a_scheduler_killed_in_mid_run(settings, corpus, expected, contents, monkeypatch, tmp_path):
    """The run ends, and says what to do; run again with another scheduler, the tables are those of threads."""
    monkeypatch.setattr(dask, "_CONNECT_TIMEOUT_S", 2)
    there = settings | {"corpus": str(corpus), "lake": str(tmp_path / "there"), "shard_bytes": 100_000}
    with (
        standing_cluster.scheduler(tmp_path / "scheduler") as (address, process),
        standing_cluster.worker(address, tmp_path / "worker"),
        _when_a_shard_is_done(there["lake"], lambda: os.kill(process.pid, signal.SIGKILL)),
        pytest.raises(ComputeError, match=f"scheduler at {address} to go on .* and run again: what is done stays done"),
    ):
        backfill(settings=there | {"cluster": address})
    with standing_cluster.cluster(tmp_path / "again", workers=1) as address:
        ledger = backfill(settings=there | {"cluster": address})
    assert ledger.n_known > 0
    assert ledger.n_published_recordings == 5
    assert_same_tables(contents(there["lake"]), expected)


@contextlib.contextmanager
def _when_a_shard_is_done(lake, do):
    """Does it once, beside what runs."""
    over = threading.Event()

    def watch():
        while not over.wait(0.02):
            if any(Path(lake).glob("features/recordings/*/*/*.parquet")):
                do()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
