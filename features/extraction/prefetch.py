"""Fetch and decode ahead: many objects in flight, bounded in number, bytes and decoded time, yielded in order."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from data_contracts.records import AudioObject
from data_contracts.rejects import Reject
from features.corpus.objects import FetchedObject, fetch, read_object
from features.decode import process_pool
from features.decode.config import SAMPLE_RATE, AudioConfig
from features.decode.recording import Decoded, gather
from features.decode.windows import Window
from features.quality.measures import Measures
from features.resources import Resources


@dataclass(frozen=True)
class LongRecording:
    """Marker of a recording that is too long to be held at once, and is to be read window by window."""


@dataclass(frozen=True)
class DecodedObject:
    """An object's content: the digest of its bytes (None where they could not be read), and its decoded audio."""

    item: AudioObject
    sha256: str | None
    audio: Decoded | Reject | LongRecording

    @property
    def held_s(self) -> float:
        """Seconds of waveform in memory."""
        return sum(map(len, self.audio.waveforms.values())) / SAMPLE_RATE if isinstance(self.audio, Decoded) else 0.0


def fetch_ahead(
    items: Iterable[AudioObject],
    *,
    config: AudioConfig,
    resources: Resources = Resources(),
    read: Callable[[str, str], bytes] | None = None,
) -> Iterator[DecodedObject]:
    """Read in threads and decode in processes, as many and as far ahead as `resources` allow; yield in order.

    Raises TransientError where the store does not answer, CredentialsError where the credentials have expired.
    """
    resources = resources.fit_to_machine()  # a no-op if the caller did so
    waiting: deque[tuple[int, Future[DecodedObject], Future[FetchedObject | Reject]]] = deque()
    in_flight, budget = 0, _DecodedBudget(resources.block_s)
    read = read or partial(read_object, retry_policy=resources.retry_policy)
    readers = ThreadPoolExecutor(resources.n_readers, thread_name_prefix="read")
    pool = ThreadPoolExecutor(resources.n_decoders, thread_name_prefix="decode")

    def decode(number: int, item: AudioObject, reading: "Future[FetchedObject | Reject]") -> DecodedObject:
        found = reading.result()
        budget.wait(number)
        decoded = _decode(item, found, config=config, resources=resources)
        budget.add(decoded.held_s)
        return decoded

    def take_next() -> DecodedObject:
        decoded = waiting.popleft()[1].result()
        budget.release(decoded.held_s)
        return decoded

    try:
        for number, item in enumerate(items):
            while waiting and (
                len(waiting) >= resources.n_ahead or in_flight + item.bytes > resources.read_ahead_bytes
            ):
                in_flight -= waiting[0][0]
                yield take_next()
            reading = readers.submit(fetch, item, read, resources.retry_policy)
            waiting.append((item.bytes, pool.submit(decode, number, item, reading), reading))
            in_flight += item.bytes
        while waiting:
            yield take_next()
    finally:
        budget.stop()
        for threads in (readers, pool):
            threads.shutdown(cancel_futures=True)
        for *_, reading in waiting:  # fetched and never decoded: its copy must not stay
            if (
                not reading.cancelled()
                and not reading.exception()
                and isinstance(found := reading.result(), FetchedObject)
            ):
                found.close()


class _DecodedBudget:
    """Lets a decoder begin while less than `max_s` is decoded and not yet yielded, or when its item is the next."""

    def __init__(self, max_s: float) -> None:
        self._max_s, self._held_s, self._next = max_s, 0.0, 0
        self._stopped, self._changed = False, threading.Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._held_s < self._max_s or number == self._next)

    def add(self, seconds: float) -> None:
        with self._changed:
            self._held_s += seconds

    def release(self, seconds: float) -> None:
        with self._changed:
            self._held_s -= seconds
            self._next += 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def _decode(
    item: AudioObject, found: FetchedObject | Reject, *, config: AudioConfig, resources: Resources
) -> DecodedObject:
    if isinstance(found, Reject):
        return DecodedObject(item, None, found)
    try:
        with closing(process_pool.decode_windows(found.content, config=config, resources=resources)) as windows:
            return DecodedObject(
                item, found.sha256, _gather_unless_long(windows, min(resources.long_s, 2 * resources.block_s))
            )
    finally:
        found.close()


def _gather_unless_long(
    windows: Iterator[Window | Measures | Reject], max_s: float
) -> Decoded | Reject | LongRecording:
    """Return the whole recording, unless all its channels together last longer than `max_s`."""
    n_samples, kept = 0, []
    for item in windows:
        if isinstance(item, Window):
            n_samples += len(item.samples)
            if n_samples > max_s * SAMPLE_RATE:
                return LongRecording()
        kept.append(item)
    return gather(iter(kept))
