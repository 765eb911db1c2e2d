"""Shards over a Dask cluster: one future a shard, results as they come, retries for what is transient."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from data_contracts.errors import ComputeError, TransientError

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

_PAUSE_S = 2.0


def scatter(
    client: "Client | None", function: Callable[..., T], items: Sequence[tuple[Any, ...]], *, tries: int = 3
) -> Iterator[T]:
    """`function(*item)` for every item, in the order of completion; here and now where there is no `client`.

    A transient failure is tried again after a pause that doubles, `tries` times in all; any other is raised at once.
    """
    if client is None:
        yield from (_here(function, item, tries) for item in items)
        return
    from distributed import KilledWorker, as_completed
    from distributed.comm.core import CommClosedError

    attempts: dict[Future[T], tuple[tuple[Any, ...], int]] = {}
    waiting = as_completed([], loop=client.loop)

    def submit(item: tuple[Any, ...], attempt: int) -> None:
        future = client.submit(function, *item, pure=False)
        attempts[future] = (item, attempt)
        waiting.add(future)

    try:
        for item in items:
            submit(item, 1)
        for future in waiting:
            item, attempt = attempts.pop(future)
            try:
                result = future.result()
            except (TransientError, KilledWorker, CommClosedError) as error:
                if attempt == tries:
                    raise _final(error, item, tries) from error
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
                submit(item, attempt + 1)
            else:
                yield result
    finally:
        client.cancel(list(attempts))


def _final(error: Exception, item: tuple[Any, ...], tries: int) -> Exception:
    if isinstance(error, TransientError):
        return error
    return ComputeError(
        f"a worker died {tries} times over {item[-1]}: too little memory, or a file that crashes its decoder; "
        "set fewer workers, a smaller shard_bytes, or take the file out of the corpus"
    )


def _here(function: Callable[..., T], item: tuple[Any, ...], tries: int) -> T:
    for attempt in range(tries - 1):
        try:
            return function(*item)
        except TransientError:
            time.sleep(_PAUSE_S * 2**attempt)
    return function(*item)
