"""How long a store that does not answer is asked again: past an outage of half a minute, and never for ever."""

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
    """`total_s` for one operation with all its tries; `timeout_s` for a connection on which nothing comes."""

    total_s: float = 120.0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.total_s < 0 or self.timeout_s <= 0:
            raise UsageError(f"expected a patience of 0 s or more and a timeout above 0 s, found {self}")

    def attempts(self) -> Iterator[int]:
        """1, 2, 3, …: a pause before each but the first, growing and never twice the same, until the time is over."""
        end, wait_s = time.monotonic() + self.total_s, _FIRST_WAIT_S
        for attempt in itertools.count(1):
            yield attempt
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, random.uniform(wait_s / 2, wait_s)))
            wait_s = min(2 * wait_s, _MAX_WAIT_S)

    def call(self, doing: str, act: Callable[[], T], ours: type[UndertoneError] = LakeError) -> T:
        """Result of `act`, retried; errors are translated (`error_translation`). Raises the last TransientError."""
        started, last = time.monotonic(), TransientError(doing)
        for _ in self.attempts():
            try:
                with translate_errors(doing, ours):
                    return act()
            except TransientError as error:
                last = error
        raise TransientError(
            f"{last}; asked again for {time.monotonic() - started:.0f} s in vain: run again when the store answers"
        ) from last
