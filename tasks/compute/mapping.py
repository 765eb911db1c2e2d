"""Map a function over shards on a Dask cluster: a window of futures, and recovery when workers die.

The window is a few tasks a worker wide: neither the scheduler nor this process holds more, however many shards there
are. A task that was on a worker when that died is suspected. Suspects wait until all else is done, and are then tried
one to a worker, so that a worker that dies again died of its own task.
"""

import heapq
import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from data_contracts.errors import ComputeError, TransientError
from tasks.compute.cluster import Cluster, OutOfMemory

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
Item = tuple[Any, ...]

_PAUSE_S = 2.0
_POLL_S = 5.0
_TASKS_PER_THREAD = 4  # in flight
_MAX_EARLY_DEATHS = 25  # before any task was done


@dataclass(frozen=True)
class Replacement(Generic[T]):
    """Other items, or results, in place of an item that kills workers."""

    items: list[Item] = field(default_factory=list)
    results: list[T] = field(default_factory=list)


Fallback = Callable[[Item, int], Replacement[T]]
"""Makes the replacement from an item and the number of workers that died over it, the last of them over it alone."""


def map_on_cluster(
    client: "Client | None",
    function: Callable[..., T],
    items: Iterable[Item],
    *,
    tries: int = 3,
    fallback: Fallback[T] | None = None,
    resource: str | None = None,
) -> Iterator[T]:
    """Yield `function(*item)` for every item, in the order of completion; in this process where there is no `client`.

    A transient failure is tried again after a pause that doubles, `tries` times in all; any other is raised at once.
    An item that kills a worker, or needs more memory than it has, is tried again; after that `fallback` replaces it,
    and without one ComputeError is raised once `tries` workers died. Where any worker offers `resource`, only those
    that do get tasks. Raises ComputeError too where the scheduler is gone.
    """
    if client is None:
        yield from (_call_with_retries(function, item, tries) for item in items)
        return
    flight = _Flight(Cluster(client, resource), function, iter(items), tries, fallback)
    try:
        yield from flight.results()
    finally:
        flight.end()


@dataclass(frozen=True)
class _Try:
    item: Item
    n_failed: int = 0
    n_deaths: int = 0
    worker: str | None = None  # in quarantine there, alone


class _Flight(Generic[T]):
    def __init__(
        self,
        cluster: Cluster,
        function: Callable[..., T],
        items: Iterator[Item],
        tries: int,
        fallback: Fallback[T] | None,
    ) -> None:
        self._cluster, self._function, self._items = cluster, function, items
        self._tries, self._fallback = tries, fallback
        self._in_flight: dict[Future[T], _Try] = {}
        self._completed: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
        self._waiting: list[tuple[float, int, _Try]] = []  # a heap, by when they are due
        self._suspects: deque[_Try] = deque()
        self._numbers = itertools.count()
        self._is_exhausted = False
        self._n_done = self._n_deaths = 0

    def results(self) -> Iterator[T]:
        while self._launch():
            try:
                future = self._completed.get(timeout=self._pause_s())
            except queue.Empty:
                yield from self._recover_lost()
                continue
            attempt = self._in_flight.pop(future, None)
            if attempt is not None:
                yield from self._outcome(future, attempt)

    def end(self) -> None:
        """Cancel the futures that nobody waits for any more."""
        if self._in_flight and self._cluster.client.status == "running":
            self._cluster.client.cancel(list(self._in_flight))

    def _launch(self) -> bool:
        """Submit as many tasks as there is room for; False when all is done."""
        if not self._quarantine():
            room = _TASKS_PER_THREAD * max(1, sum(self._cluster.threads().values()))
            while len(self._in_flight) < room and (attempt := self._next()) is not None:
                self._submit(attempt)
        if (
            self._suspects
            and self._is_exhausted
            and not self._waiting
            and len(self._quarantine()) == len(self._in_flight)
        ):
            for worker in self._cluster.threads(refresh=True).keys() - self._quarantine():
                if self._suspects:
                    self._submit(replace(self._suspects.popleft(), worker=worker))
        return bool(self._in_flight or self._waiting or self._suspects or not self._is_exhausted)

    def _quarantine(self) -> set[str]:
        """The workers that have one suspect each, and nothing else."""
        return {attempt.worker for attempt in self._in_flight.values() if attempt.worker}

    def _pause_s(self) -> float:
        """Seconds until there may be something to do even if no future completes."""
        due_s = self._waiting[0][0] - time.monotonic() if self._waiting else _POLL_S
        return min(_POLL_S, max(0.1, due_s))

    def _next(self) -> _Try | None:
        """A waiting attempt that is due, or the next new one."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            attempt = heapq.heappop(self._waiting)[2]
            if not attempt.n_deaths:
                return attempt
            self._suspects.append(attempt)
        item = next(self._items, None)
        self._is_exhausted = item is None
        return None if item is None else _Try(item)

    def _submit(self, attempt: _Try) -> None:
        self._watch(self._cluster.submit(self._function, attempt.item, worker=attempt.worker), attempt)

    def _watch(self, future: "Future[T]", attempt: _Try) -> None:
        self._in_flight[future] = attempt
        future.add_done_callback(self._completed.put)

    def _outcome(self, future: "Future[T]", attempt: _Try) -> Iterator[T]:
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            result = future.result(timeout=_POLL_S)
        except (KilledWorker, OutOfMemory) as error:
            yield from self._handle_death(attempt, error)
        except (TransientError, CommClosedError) as error:
            self._retry_later(attempt, error, pause_s=_PAUSE_S * 2**attempt.n_failed)
        except CancelledError as error:  # the scheduler was restarted, or is gone
            self._cluster.reconnect()
            self._retry_later(attempt, error, pause_s=0.0)
        except ImportError as error:
            raise ComputeError(
                f"a worker cannot load what it is asked to do: {error}; install the same Undertone, with the same "
                "extras, on every worker"
            ) from error
        except TimeoutError:
            if future.status == "error":
                raise
            self._watch(future, attempt)  # the worker with the result died, and another computes it again
        else:
            future.release()  # else Dask keeps it where it was computed, and computes it again when that worker dies
            self._n_done += 1
            yield result

    def _retry_later(self, attempt: _Try, error: Exception, *, pause_s: float) -> None:
        attempt = replace(attempt, n_failed=attempt.n_failed + 1, worker=None)
        if attempt.n_failed == self._tries:
            if isinstance(error, TransientError):
                raise error
            raise ComputeError(
                f"the connection to the cluster was lost {self._tries} times over {attempt.item[-1]}: {error}; see the "
                "scheduler's log, and run again: what is done stays done"
            ) from error
        heapq.heappush(self._waiting, (time.monotonic() + pause_s, next(self._numbers), attempt))

    def _handle_death(self, attempt: _Try, error: Exception | None) -> Iterator[T]:
        was_alone, attempt = attempt.worker is not None, replace(attempt, n_deaths=attempt.n_deaths + 1, worker=None)
        self._n_deaths += 1
        is_given_up = self._fallback is None and attempt.n_deaths >= self._tries
        if is_given_up or (not self._n_done and self._n_deaths >= _MAX_EARLY_DEATHS):
            cause = f" ({error})" if isinstance(error, OutOfMemory) else ""
            raise ComputeError(
                f"workers died, or ran out of memory, {attempt.n_deaths} times over {attempt.item[-1]}{cause}: set "
                "fewer workers, more memory_mb, a smaller shard_bytes, or take what is in it out of the corpus"
            ) from error
        if self._fallback is None or not was_alone:
            self._suspects.append(attempt)
            return
        replacement = self._fallback(attempt.item, attempt.n_deaths)
        self._suspects.extend(replace(attempt, item=item) for item in replacement.items)
        yield from replacement.results

    def _recover_lost(self) -> Iterator[T]:
        """Handle as deaths the tasks whose own worker is gone: no other worker may take them."""
        self._cluster.threads(refresh=True)
        for future, attempt in list(self._in_flight.items()):
            if attempt.worker and attempt.worker not in self._cluster.present and future.status == "pending":
                del self._in_flight[future]
                self._cluster.client.cancel([future])
                yield from self._handle_death(attempt, None)


def _call_with_retries(function: Callable[..., T], item: Item, tries: int) -> T:
    for attempt in range(tries - 1):
        try:
            return function(*item)
        except TransientError:
            time.sleep(_PAUSE_S * 2**attempt)
    return function(*item)
