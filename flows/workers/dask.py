"""Where shards are computed: one setting chooses the Dask cluster."""

import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import TransientError, UsageError
from flows.settings import Settings
from flows.settings.configs import worker_resources
from flows.workers import forkserver
from tasks.compute.cluster import GPU, Cluster

_MAX_SHARDS_ON_DRIVER = 8
_CONNECT_TIMEOUT_S = 20  # to a scheduler, at the beginning and when its connection was lost
_MEMORY_LIMIT_FACTOR = 1.5  # of `memory_mb`, at which Dask ends a worker, before the kernel ends any process


def n_workers(settings: Settings) -> int:
    """As set; else one a GPU, or one a core that this process may use."""
    if settings.workers:
        return settings.workers
    if cluster_kind(settings) == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cluster_kind(settings: Settings) -> str:
    """What `auto` means here: `cuda` where torch sees a GPU and dask-cuda is installed, else `processes`."""
    if settings.cluster != "auto":
        return settings.cluster
    if importlib.util.find_spec("dask_cuda") is None:
        return "processes"
    import torch

    return "cuda" if torch.cuda.is_available() else "processes"


@dataclass(frozen=True)
class RunningCluster:
    """A Dask client, and how to end what was started for it (from any thread)."""

    client: Any
    close: Callable[[], None]


def start_cluster(settings: Settings) -> RunningCluster:
    """The chosen cluster; what is started here ends with `close`, a scheduler that stood before goes on standing."""
    from distributed import Client

    from flows.workers.malloc import KeepMemory

    chosen = cluster_kind(settings)
    if "://" in chosen:
        try:
            client = Client(chosen, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except OSError as error:
            raise TransientError(
                f"no Dask scheduler answers at {chosen}: {error}; start it, or set --cluster auto"
            ) from error
        return RunningCluster(client, client.close)
    resources = worker_resources(settings)
    _configure_dask()
    if chosen == "cuda":
        local = _start_cuda_cluster(n_workers(settings), pool=settings.rmm_pool)
    else:
        local = _start_local_cluster(
            chosen, n_workers(settings), ends_at_bytes=int(resources.memory_mb * _MEMORY_LIMIT_FACTOR * 1_000_000)
        )
    client = Client(local, set_as_default=False)
    if chosen == "processes":
        client.register_plugin(KeepMemory(resources.freed_bytes))

    def close() -> None:
        client.close()
        with contextlib.suppress(TimeoutError):  # it has killed a worker that would not end, and did not see it go
            local.close()

    return RunningCluster(client, close)


def _configure_dask() -> None:
    """Keep Dask from retrying after deaths and from spilling: `tasks.compute.mapping` decides what is tried again."""
    import dask

    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": 0,
            "distributed.deploy.lost-worker-timeout": "10 minutes",  # Dask gives a worker 15 s to start again, or none
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": 1.0,
        }
    )


def _start_cuda_cluster(workers: int, *, pool: float) -> Any:
    """A worker a GPU; its host memory is not watched, for what CUDA takes of it is not known beforehand."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise UsageError("cluster 'cuda' needs the extra: pip install 'undertone[cuda]'") from error
    pooled: dict[str, Any] = {}
    if pool and importlib.util.find_spec("rmm") is not None:
        pooled = {"rmm_pool_size": pool, "rmm_allocator_external_lib_list": ["torch"]}
    return LocalCUDACluster(
        n_workers=workers,
        threads_per_worker=1,
        resources={GPU: 1},
        memory_limit=0,
        device_memory_limit=0,  # no result stays on a device that could be moved away
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
        **pooled,
    )


def _start_local_cluster(chosen: str, workers: int, *, ends_at_bytes: int) -> Any:
    import dask
    from distributed import LocalCluster

    if forkserver.is_ready():
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    environment = {"env": dict(os.environ)} if chosen == "processes" else {}  # a fork has that of its beginning
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=chosen == "processes",
        host="127.0.0.1" if chosen == "processes" else None,
        dashboard_address="127.0.0.1:0",
        memory_limit=ends_at_bytes if chosen == "processes" else 0,
        silence_logs=logging.ERROR,
        **environment,
    )


class Workers:
    """The cluster, started when a stage first needs it: an empty night starts none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: RunningCluster | None = None
        self._closing: list[threading.Thread] = []

    def client(self) -> Any:
        if self._started is None:
            self._started = start_cluster(self._settings)
        return self._started.client

    def size(self) -> int:
        """How many shards are computed at a time: of a standing cluster, as many as its workers have threads."""
        if "://" not in cluster_kind(self._settings):
            return n_workers(self._settings)
        return max(1, sum(Cluster(self.client(), GPU).threads().values()))

    def client_for(self, n_shards: int) -> Any:
        """The cluster for light work, unless the shards are too few to start one for."""
        return None if self._started is None and n_shards <= _MAX_SHARDS_ON_DRIVER else self.client()

    def release(self) -> None:
        """Ends the cluster beside what the driver does next: its processes take seconds to go."""
        if self._started is not None:
            self._closing.append(threading.Thread(target=self._started.close))
            self._closing[-1].start()
            self._started = None

    def close(self) -> None:
        self.release()
        for thread in self._closing:
            thread.join()


@contextmanager
def workers_for(settings: Settings) -> Iterator[Workers]:
    """The workers of a run; what they started is ended with it."""
    workers = Workers(settings)
    try:
        yield workers
    finally:
        workers.close()
