"""The Dask cluster of a run: the workers that may take a task, and errors where there are none."""

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
"""The resource of workers that should get the tasks that compute on waveforms."""

_REFRESH_S = 10.0
_ANSWERS_S = 120.0  # a scheduler that does not answer for so long is given up
_WORKERS_S = 300.0  # without any worker; a cluster that scales up on demand needs a while


class OutOfMemory(Exception):  # noqa: N818
    """A task needed more memory than its worker or device has; the worker lives on."""


class Cluster:
    """A client and its workers that offer `resource`; all its workers where none ever offered it."""

    def __init__(self, client: "Client", resource: str | None = None) -> None:
        self.client, self._resource, self._is_needed = client, resource, False
        self._address = getattr(client.scheduler, "address", "its address")
        self._threads: dict[str, int] = {}
        self._read_at, self._had_workers_at = -_REFRESH_S, time.monotonic()
        self.present: set[str] = set()  # the addresses of all workers

    def threads(self, *, refresh: bool = False) -> dict[str, int]:
        """Return the number of tasks that each worker runs at a time, by address; at most ten seconds old.

        Raises ComputeError where the scheduler is gone, or has had no workers for five minutes.
        """
        if refresh or time.monotonic() - self._read_at > _REFRESH_S:
            self._refresh()
        return self._threads

    def submit(self, function: Callable[..., T], item: tuple[Any, ...], *, worker: str | None = None) -> "Future[T]":
        """Submit one task, to `worker` alone where one is named."""
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
        """Wait until the client has its scheduler again. Raises ComputeError after two minutes."""
        end = time.monotonic() + _ANSWERS_S
        while self.client.status == "connecting" and time.monotonic() < end:
            time.sleep(0.1)
        if self.client.status != "running":
            raise self._no_scheduler("its connection was lost")
        self._refresh()

    def _refresh(self) -> None:
        if self.client.status != "running":
            self.reconnect()
            return
        try:
            scheduler: Any = self.client.scheduler
            identity = self.client.sync(scheduler.identity, n_workers=-1, callback_timeout=_ANSWERS_S)
        except TimeoutError as error:
            raise self._no_scheduler(f"it said nothing for {_ANSWERS_S:.0f} s") from error
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
            self._had_workers_at = self._read_at
        elif self._read_at - self._had_workers_at > _WORKERS_S:
            offering = f" that offer the resource {self._resource}" if self._is_needed else ""
            raise ComputeError(
                f"expected workers{offering} at the Dask scheduler {self._address}; found none for {_WORKERS_S:.0f} s; "
                "start some (`dask worker ADDRESS`) and run again: what is done stays done"
            )

    def _no_scheduler(self, found: str) -> ComputeError:
        return ComputeError(
            f"expected the Dask scheduler at {self._address} to go on answering; {found}; start it and its workers "
            "again, and run again: what is done stays done"
        )


def installed_version() -> str:
    """Return the installed version of Undertone; empty where it is only on the path."""
    try:
        return importlib.metadata.version("undertone")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _perform(driver_version: str, function: Callable[..., T], item: tuple[Any, ...]) -> T:
    """Run a task on a worker. Raises OutOfMemory, and ComputeError where another release submitted it."""
    version = installed_version()
    if version != driver_version and version and driver_version:
        raise ComputeError(
            f"expected workers with Undertone {driver_version}, as it was started with; found {version} on one; "
            "install the same release everywhere"
        )
    try:
        return function(*item)
    except Exception as error:
        from features.dsp.batching import is_out_of_memory

        message = f"{type(error).__name__}: {error}"
        if is_out_of_memory(error):
            raise OutOfMemory(message) from None
        if not _is_picklable(error):
            raise ComputeError(message) from None
        raise


def _is_picklable(error: Exception) -> bool:
    """True where the error survives a round trip: the driver would wait for ever for one that it cannot unpickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its own code raises
        return False
    return not isinstance(error, RecursionError)  # whose traceback is too deep
