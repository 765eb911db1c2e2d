"""Patience with what a command starts beside itself: Prefect's server and the workers."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from data_contracts.errors import ComputeError, UndertoneError

T = TypeVar("T")

START_S = 120.0
"""Seconds for which a process may take to start."""

_LOGGERS = ("distributed.nanny", "distributed.worker", "distributed.scheduler")
_GRACE_S = 10.0  # after a worker's error, for the others and for the end of the cluster


def start_workers(start: Callable[[], T], *, patience_s: float = START_S) -> T:
    """Return what `start` returns. Raises ComputeError with the workers' own error where they do not come up in time.

    Dask waits for ever for a nanny that failed, and only logs why.
    """
    failures, ended, results = _Failures(), threading.Event(), list[T | BaseException]()

    def run() -> None:
        try:
            results.append(start())
        except BaseException as error:  # noqa: BLE001 - raised again below
            results.append(error)
        ended.set()

    with failures:
        threading.Thread(target=run, name="start of the workers", daemon=True).start()
        waited_s = 0.0
        while not ended.wait(0.1) and waited_s < patience_s:
            waited_s += 0.1
            if failures.errors:
                patience_s = min(patience_s, waited_s + _GRACE_S)
    result = results[0] if results else None
    if isinstance(result, UndertoneError) or (isinstance(result, BaseException) and not isinstance(result, Exception)):
        raise result
    if result is None or isinstance(result, Exception):
        errors = [*failures.errors, *([result] if isinstance(result, Exception) else [])]
        found = _root_cause(errors[0]) if errors else f"none after {waited_s:.0f} s"
        raise ComputeError(
            f"expected workers of our own to start on this machine; found {found}; mend that, or compute without "
            "processes: --cluster threads"
        ) from (errors[0] if errors else None)
    return result


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


class _Failures(logging.Handler):
    """The errors that Dask logs while it is in use, though its loggers are silenced."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []
        self._before: list[tuple[logging.Logger, int, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])

    def __enter__(self) -> None:
        for logger in map(logging.getLogger, _LOGGERS):
            self._before.append((logger, logger.level, logger.propagate))
            logger.addHandler(self)
            logger.setLevel(logging.ERROR)
            logger.propagate = False

    def __exit__(self, *_error: object) -> None:
        for logger, level, propagate in self._before:
            logger.removeHandler(self)
            logger.setLevel(level)
            logger.propagate = propagate
