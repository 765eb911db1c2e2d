"""Clusters that a setting chooses, and the start of their workers."""

import importlib
import importlib.util
import sys
from types import ModuleType

import pytest
from distributed import LocalCluster

from data_contracts.errors import TransientError
from flows.settings import Settings
from flows.workers import dask
from tasks.compute.cluster import GPU, Cluster


class _LocalCUDACluster(LocalCluster):
    """Dask-CUDA's, as far as it goes without a GPU: what it was asked for, and workers as threads."""

    asked: dict = {}  # noqa: RUF012

    def __init__(self, *, n_workers, threads_per_worker, resources, **options):
        type(self).asked = options
        super().__init__(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            processes=False,
            dashboard_address=None,
            resources=resources,
        )


@pytest.fixture
def dask_cuda(monkeypatch):
    module = ModuleType("dask_cuda")
    module.LocalCUDACluster = _LocalCUDACluster
    monkeypatch.setitem(sys.modules, "dask_cuda", module)


@pytest.mark.parametrize("has_rmm", [True, False])
def test_a_worker_a_gpu_offers_it_and_shares_a_pool_where_there_is_one(dask_cuda, monkeypatch, has_rmm):
    found, spec = importlib.util.find_spec, importlib.util.find_spec("json") if has_rmm else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "rmm" else found(name))
    started = dask.start_cluster(Settings(cluster="cuda", workers=2))
    try:
        cluster = Cluster(started.client, GPU)
        assert sorted(cluster.threads().values()) == [1, 1]
        offered = [worker["resources"] for worker in started.client.scheduler_info()["workers"].values()]
        assert offered == [{GPU: 1.0}] * 2
    finally:
        started.close()
    asked = _LocalCUDACluster.asked
    assert asked.get("rmm_pool_size") == (0.5 if has_rmm else None)
    assert asked.get("rmm_allocator_external_lib_list") == (["torch"] if has_rmm else None)


def test_a_scheduler_that_does_not_answer_is_told_of(monkeypatch):
    import distributed

    def refused(*_args, **_options):
        raise OSError("Timed out trying to connect to tcp://127.0.0.1:1")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(TransientError, match="no Dask scheduler answers at tcp://"):
        dask.start_cluster(Settings(cluster="tcp://127.0.0.1:1"))


def test_a_cluster_of_our_own_takes_no_configuration_of_other_clusters(monkeypatch):
    """`require-encryption` for a company's cluster: "Encryption required by Dask configuration", and no worker."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "True")
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", "/proc/nowhere")
    monkeypatch.setenv("DASK_LOGGING__DISTRIBUTED", "critical")
    config = importlib.import_module("dask").config
    config.refresh()
    assert config.get("temporary-directory") == "/proc/nowhere"
    dask._configure_dask()
    assert (config.get("temporary-directory"), config.get("distributed.comm.require-encryption")) == (None, None)
    assert config.get("logging.distributed") == "critical"
    assert config.get("distributed.scheduler.allowed-failures") == 0
