"""Where shards are computed: one setting chooses the Dask cluster."""

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import TransientError, UsageError
from flows import forks
from flows.chosen import resources as chosen_resources
from flows.settings import Settings


def n_workers(settings: Settings) -> int:
    """As set; else one a GPU, or one a core that this process may use."""
    if settings.workers:
        return settings.workers
    if kind(settings) == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kind(settings: Settings) -> str:
    """What `auto` means here: `cuda` where torch sees a GPU and dask-cuda is installed, else `processes`."""
    if settings.cluster != "auto":
        return settings.cluster
    if importlib.util.find_spec("dask_cuda") is None:
        return "processes"
    import torch

    return "cuda" if torch.cuda.is_available() else "processes"


_FEW_SHARDS = 8


@dataclass(frozen=True)
class Started:
    """A Dask client, and how to end what was started for it (from any thread)."""

    client: Any
    close: Callable[[], None]


def start(settings: Settings) -> Started:
    """The chosen cluster; what is started here ends with `close`, a scheduler that stood before goes on standing."""
    from distributed import Client

    from flows.malloc import KeepMemory

    chosen = kind(settings)
    if "://" in chosen:
        try:
            client = Client(chosen, timeout="20s", set_as_default=False)
        except OSError as error:
            raise TransientError(
                f"no Dask scheduler answers at {chosen}: {error}; start it, or set --cluster auto"
            ) from error
        return Started(client, client.close)
    local = _local(chosen, n_workers(settings))
    client = Client(local, set_as_default=False)
    if chosen == "processes":
        client.register_plugin(KeepMemory(chosen_resources(settings).freed_bytes))

    def close() -> None:
        client.close()
        local.close()

    return Started(client, close)


def _local(chosen: str, workers: int) -> Any:
    if chosen == "cuda":
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError as error:
            raise UsageError("cluster 'cuda' needs the extra: pip install 'undertone[cuda]'") from error
        return LocalCUDACluster(n_workers=workers, dashboard_address="127.0.0.1:0")
    import dask
    from distributed import LocalCluster

    if forks.is_ready():
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    environment = {"env": dict(os.environ)} if chosen == "processes" else {}  # a fork has that of its beginning
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=chosen == "processes",
        host="127.0.0.1" if chosen == "processes" else None,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.ERROR,
        **environment,
    )


class Workers:
    """The cluster, started when a stage first needs it: an empty night starts none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: Started | None = None
        self._closing: list[threading.Thread] = []

    def client(self) -> Any:
        if self._started is None:
            self._started = start(self._settings)
        return self._started.client

    def client_for(self, n_shards: int) -> Any:
        """The cluster for light work, unless the shards are too few to start one for."""
        return None if self._started is None and n_shards <= _FEW_SHARDS else self.client()

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
