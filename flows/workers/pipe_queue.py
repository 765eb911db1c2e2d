"""Queues over pipes for Dask's nannies, where named semaphores cannot be made: without a usable /dev/shm.

A nanny tells its worker to stop, and the worker where it listens, by two of multiprocessing's queues; each has one
reader and one writer, so that a pipe does without their locks. Hardened containers and AWS Lambda have no /dev/shm.
"""

import multiprocessing
import queue
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any


def has_semaphores() -> bool:
    """Return whether multiprocessing can make its locks here."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (ImportError, OSError):
        return False
    return True


def use_pipes() -> None:
    """Give the nannies of this process queues over pipes."""
    from distributed import nanny

    vars(nanny)["get_mp_context"] = lambda: SimpleNamespace(Queue=PipeQueue)


class PipeQueue:
    """A queue of one reader and one writer, with the methods of multiprocessing's that nannies call."""

    def __init__(self) -> None:
        self._reader: Connection[Any, Any]
        self._writer: Connection[Any, Any]
        self._reader, self._writer = multiprocessing.Pipe(duplex=False)

    def put(self, item: Any) -> None:
        """Send an item. Raises ValueError where this side is closed."""
        if self._writer.closed:
            raise ValueError("the queue is closed")
        self._writer.send(item)

    def get(self) -> Any:
        """Wait for an item. Raises OSError where this side was closed."""
        return self._reader.recv()

    def get_nowait(self) -> Any:
        """Return an item. Raises queue.Empty where there is none."""
        if not self._reader.poll():
            raise queue.Empty
        return self._reader.recv()

    def close(self) -> None:
        """Send no more; what was sent can be read."""
        self._writer.close()

    def join_thread(self) -> None:
        """Do nothing: an item is sent before `put` returns."""
