"""Retries of a store that does not answer: past an outage of half a minute, and never for ever."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from data_contracts.errors import LakeError, TransientError, UndertoneError, UsageError
from data_contracts.object_store.error_translation import translate_errors

T = TypeVar("T")

_FIRST_WAIT_S, _MAX_WAIT_S = 0.2, 8.0


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of one operation: `total_s` with all its tries, `timeout_s` for a connection without an answer."""

    total_s: float = 120.0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.total_s < 0 or self.timeout_s <= 0:
            raise UsageError(f"expected a patience of 0 s or more and a timeout above 0 s, found {self}")

    def attempts(self) -> Iterator[int]:
        """Yield 1, 2, 3, … until `total_s` is over, with a growing, randomised pause before each but the first."""
        end, wait_s = time.monotonic() + self.total_s, _FIRST_WAIT_S
        for attempt in itertools.count(1):
            yield attempt
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, random.uniform(wait_s / 2, wait_s)))
            wait_s = min(2 * wait_s, _MAX_WAIT_S)

    def call(self, action: str, function: Callable[[], T], error_class: type[UndertoneError] = LakeError) -> T:
        """Return the result of `function`, retried while its errors are transient.

        Raises the errors of `translate_errors`, and the last TransientError when the time is over.
        """
        started, last = time.monotonic(), TransientError(action)
        for _ in self.attempts():
            try:
                with translate_errors(action, error_class):
                    return function()
            except TransientError as error:
                last = error
        raise TransientError(
            f"{last}; asked again for {time.monotonic() - started:.0f} s in vain: run again when the store answers"
        ) from last
