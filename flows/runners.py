"""Where shards are computed: one setting chooses the Dask cluster."""

import importlib.util
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import TransientError, UsageError
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


@dataclass(frozen=True)
class Workers:
    """A Dask client, and how to end what was started for it (from any thread)."""

    client: Any
    close: Callable[[], None]


def start(settings: Settings) -> Workers:
    """The chosen cluster; what is started here ends with `close`, a scheduler that stood before goes on standing."""
    from distributed import Client

    chosen = kind(settings)
    if "://" in chosen:
        try:
            client = Client(chosen, timeout="20s", set_as_default=False)
        except OSError as error:
            raise TransientError(
                f"no Dask scheduler answers at {chosen}: {error}; start it, or set --cluster auto"
            ) from error
        return Workers(client, client.close)
    local = _local(chosen, n_workers(settings))
    client = Client(local, set_as_default=False)

    def close() -> None:
        client.close()
        local.close()

    return Workers(client, close)


def _local(chosen: str, workers: int) -> Any:
    if chosen == "cuda":
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError as error:
            raise UsageError("cluster 'cuda' needs the extra: pip install 'undertone[cuda]'") from error
        return LocalCUDACluster(n_workers=workers, dashboard_address="127.0.0.1:0")
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=chosen == "processes",
        host="127.0.0.1" if chosen == "processes" else None,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.ERROR,
    )
