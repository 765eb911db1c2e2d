"""Shards over a Dask cluster: one future a shard, results as they come, retries for what is transient."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from distributed import Client, KilledWorker, as_completed
from distributed.comm.core import CommClosedError

from data_contracts.errors import TransientError

T = TypeVar("T")

_MENDABLE = (TransientError, KilledWorker, CommClosedError)


def scatter(
    client: Client | None, function: Callable[..., T], items: Sequence[tuple[Any, ...]], *, tries: int = 3
) -> Iterator[T]:
    """`function(*item)` for every item, in the order of completion; here and now where there is no `client`.

    A transient failure is tried again after a pause that grows, `tries` times in all; any other is raised at once.
    """
    if client is None:
        for item in items:
            yield function(*item)
        return
    attempts = {client.submit(function, *item, pure=False, retries=0): (item, 1) for item in items}
    waiting = as_completed(attempts)
    for future in waiting:
        item, attempt = attempts.pop(future)
        try:
            result = future.result()
        except _MENDABLE:
            if attempt == tries:
                client.cancel(list(attempts))
                raise
            time.sleep(2.0**attempt)
            again = client.submit(function, *item, pure=False)
            attempts[again] = (item, attempt + 1)
            waiting.add(again)
        except BaseException:
            client.cancel(list(attempts))
            raise
        else:
            yield result
        finally:
            future.release()
