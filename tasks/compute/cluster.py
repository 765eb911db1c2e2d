"""The Dask cluster as a run sees it: who may take a task, and whether anybody is there at all."""

import importlib.metadata
import pickle
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from data_contracts.errors import ComputeError

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

GPU = "GPU"
"""The resource of workers that should have what computes on waveforms."""

_REFRESH_S = 10.0
_ANSWERS_S = 120.0  # a scheduler that says nothing for so long is given up
_WORKERS_S = 300.0  # without any worker; a cluster that grows when it is asked needs a while


class OutOfMemory(Exception):  # noqa: N818
    """A task that its worker's or its device's memory was too small for; the worker lives on."""


class Cluster:
    """A client, and those of its workers that offer `resource`; all workers where none ever did."""

    def __init__(self, client: "Client", resource: str | None = None) -> None:
        self.client, self._resource, self._is_needed = client, resource, False
        self._address = getattr(client.scheduler, "address", "its address")
        self._threads: dict[str, int] = {}
        self._read_at, self._manned_at = -_REFRESH_S, time.monotonic()
        self.present: set[str] = set()  # the addresses of all workers

    def threads(self, *, afresh: bool = False) -> dict[str, int]:
        """How many tasks each worker runs at a time, by address; ten seconds old at most.

        Raises ComputeError where the scheduler is gone, or nobody has worked for it for five minutes.
        """
        if afresh or time.monotonic() - self._read_at > _REFRESH_S:
            self._look()
        return self._threads

    def submit(self, function: Callable[..., T], item: tuple[Any, ...], *, worker: str | None = None) -> "Future[T]":
        """One task, on that `worker` alone where one is named."""
        return self.client.submit(
            _perform,
            installed_version(),
            function,
            item,
            key=f"{function.__name__}-{uuid.uuid4().hex}",
            workers=None if worker is None else [worker],
            resources={self._resource: 1} if self._is_needed else None,
        )

    def reconnect(self) -> None:
        """Waits until the client has its scheduler again. Raises ComputeError where that does not come about."""
        end = time.monotonic() + _ANSWERS_S
        while self.client.status == "connecting" and time.monotonic() < end:
            time.sleep(0.1)
        if self.client.status != "running":
            raise self._gone("its connection was lost")
        self._look()

    def _look(self) -> None:
        if self.client.status != "running":
            self.reconnect()
            return
        try:
            scheduler: Any = self.client.scheduler
            identity = self.client.sync(scheduler.identity, n_workers=-1, callback_timeout=_ANSWERS_S)
        except TimeoutError as error:
            raise self._gone(f"it said nothing for {_ANSWERS_S:.0f} s") from error
        except OSError:  # the connection: the client will notice, and cancel what it waits for
            return
        workers = identity["workers"]
        self.present = set(workers)
        self._is_needed |= any(self._resource in worker["resources"] for worker in workers.values())
        self._threads = {
            address: worker["nthreads"]
            for address, worker in workers.items()
            if not self._is_needed or self._resource in worker["resources"]
        }
        self._read_at = time.monotonic()
        if self._threads:
            self._manned_at = self._read_at
        elif self._read_at - self._manned_at > _WORKERS_S:
            offering = f" that offer the resource {self._resource}" if self._is_needed else ""
            raise ComputeError(
                f"expected workers{offering} at the Dask scheduler {self._address}; found none for {_WORKERS_S:.0f} s; "
                "start some (`dask worker ADDRESS`) and run again: what is done stays done"
            )

    def _gone(self, found: str) -> ComputeError:
        return ComputeError(
            f"expected the Dask scheduler at {self._address} to go on answering; {found}; start it and its workers "
            "again, and run again: what is done stays done"
        )


def installed_version() -> str:
    """The version of Undertone that is installed here; empty where it only lies on the path."""
    try:
        return importlib.metadata.version("undertone")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _perform(theirs: str, function: Callable[..., T], item: tuple[Any, ...]) -> T:
    """What a worker does with a task. Raises OutOfMemory, and ComputeError where another release submitted it."""
    ours = installed_version()
    if ours != theirs and ours and theirs:
        raise ComputeError(
            f"expected workers with Undertone {theirs}, as it was started with; found {ours} on one; install the same "
            "release everywhere"
        )
    try:
        return function(*item)
    except Exception as error:
        from features.dsp.batching import is_out_of_memory

        told = f"{type(error).__name__}: {error}"
        if is_out_of_memory(error):
            raise OutOfMemory(told) from None
        if not _is_picklable(error):
            raise ComputeError(told) from None
        raise


def _is_picklable(error: Exception) -> bool:
    """Whether the driver will hear of it: of an error that it cannot make again it would wait for ever."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its own code raises
        return False
    return not isinstance(error, RecursionError)  # whose traceback is too deep
