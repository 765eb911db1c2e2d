"""Dask clusters of a run: local processes, threads, GPUs, or a standing scheduler, as one setting chooses."""

import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from data_contracts.errors import TransientError, UsageError
from flows.settings import Settings
from flows.settings.configs import worker_resources
from flows.workers import forkserver
from flows.workers.patience import start_workers
from flows.workers.pipe_queue import has_semaphores, use_pipes
from tasks.compute.cluster import GPU, Cluster

_MAX_SHARDS_ON_DRIVER = 8
_CONNECT_TIMEOUT_S = 20  # to a scheduler, at the beginning and when its connection was lost
_MEMORY_LIMIT_FACTOR = 1.5  # of `memory_mb`, at which Dask ends a worker, before the kernel ends any process


def n_workers(settings: Settings) -> int:
    """Return the number of workers: as set; else one a GPU, or one for each core that this process may use."""
    if settings.workers:
        return settings.workers
    if cluster_kind(settings) == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cluster_kind(settings: Settings) -> str:
    """Resolve `auto`: `cuda` where torch sees a GPU and dask-cuda is installed, else `processes`."""
    if settings.cluster != "auto":
        return settings.cluster
    if importlib.util.find_spec("dask_cuda") is None:
        return "processes"
    import torch

    return "cuda" if torch.cuda.is_available() else "processes"


@dataclass(frozen=True)
class RunningCluster:
    """A Dask client, and a function that ends what was started for it (from any thread)."""

    client: Any
    close: Callable[[], None]


def start_cluster(settings: Settings) -> RunningCluster:
    """Start the kind cluster. `close` ends what was started here; a standing scheduler stays."""
    from distributed import Client

    from flows.workers.malloc import KeepMemory

    kind = cluster_kind(settings)
    if "://" in kind:
        try:
            client = Client(kind, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except OSError as error:
            raise TransientError(
                f"no Dask scheduler answers at {kind}: {error}; start it, or set --cluster auto"
            ) from error
        return RunningCluster(client, client.close)
    resources = worker_resources(settings)
    _configure_dask()
    if not has_semaphores():
        use_pipes()
    if kind == "cuda":
        start = partial(_start_cuda_cluster, n_workers(settings), pool=settings.rmm_pool)
    else:
        limit_bytes = int(resources.memory_mb * _MEMORY_LIMIT_FACTOR * 1_000_000)
        start = partial(_start_local_cluster, kind, n_workers(settings), limit_bytes=limit_bytes)
    local = start_workers(start)
    client = Client(local, set_as_default=False)
    if kind == "processes":
        client.register_plugin(KeepMemory(resources.allocator_cache_bytes))

    def close() -> None:
        client.close()
        with contextlib.suppress(TimeoutError):  # a worker was killed and its end not seen
            local.close()

    return RunningCluster(client, close)


def _configure_dask() -> None:
    """Keep Dask from retrying after deaths and from spilling: `tasks.compute.mapping` decides what is tried again.

    Else it is as Dask comes: what a user has set for other clusters (`~/.config/dask`, `DASK_…`: encryption, ports, a
    folder that is not here) holds for standing ones alone.
    """
    import dask
    import distributed  # noqa: F401 - its defaults are among those

    logs = {name: value for name, value in os.environ.items() if name.startswith("DASK_LOGGING__")}
    dask.config.refresh(paths=[], env=logs)
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
    """Start a worker for each GPU; host memory is not watched, since CUDA's share of it is not known beforehand."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise UsageError("cluster 'cuda' needs the extra: pip install 'undertone[cuda]'") from error
    pool_options: dict[str, Any] = {}
    if pool and importlib.util.find_spec("rmm") is not None:
        pool_options = {"rmm_pool_size": pool, "rmm_allocator_external_lib_list": ["torch"]}
    return LocalCUDACluster(
        n_workers=workers,
        threads_per_worker=1,
        resources={GPU: 1},
        memory_limit=0,
        device_memory_limit=0,  # results do not stay on the device, so nothing needs spilling
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
        **pool_options,
    )


def _start_local_cluster(kind: str, workers: int, *, limit_bytes: int) -> Any:
    import dask
    from distributed import LocalCluster

    if forkserver.is_ready():
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    environment = {"env": dict(os.environ)} if kind == "processes" else {}  # a fork has the environment of its start
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=kind == "processes",
        host="127.0.0.1" if kind == "processes" else None,
        dashboard_address="127.0.0.1:0",
        memory_limit=limit_bytes if kind == "processes" else 0,
        silence_logs=logging.ERROR,
        **environment,
    )


class Workers:
    """Workers of a run, started when a stage first needs them: an empty night starts none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: RunningCluster | None = None
        self._closing: list[threading.Thread] = []

    def client(self) -> Any:
        if self._started is None:
            self._started = start_cluster(self._settings)
        return self._started.client

    def size(self) -> int:
        """Return the number of parallel shards: for a standing cluster, the threads of its workers."""
        if "://" not in cluster_kind(self._settings):
            return n_workers(self._settings)
        return max(1, sum(Cluster(self.client(), GPU).threads().values()))

    def client_for(self, n_shards: int) -> Any:
        """Return the cluster for light work, or None where the shards are too few to start one."""
        return None if self._started is None and n_shards <= _MAX_SHARDS_ON_DRIVER else self.client()

    def release(self) -> None:
        """End the cluster in the background: its processes take seconds to go."""
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
    """Yield the workers of a run, and end them with it."""
    workers = Workers(settings)
    try:
        yield workers
    finally:
        workers.close()
