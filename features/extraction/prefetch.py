"""Reading and decoding ahead: many objects in flight, bounded in number, bytes and decoded time, handed on in order."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from data_contracts.records import AudioObject
from data_contracts.rejects import Reject
from features.corpus.objects import Held, hold, read_object
from features.decode import process_pool
from features.decode.config import SAMPLE_RATE, AudioConfig
from features.decode.recording import Decoded, gathered
from features.decode.windows import Window
from features.quality.measures import Measures
from features.resources import Resources


@dataclass(frozen=True)
class LongRecording:
    """Of a recording that is too long to be held at once: it is to be read window by window."""


@dataclass(frozen=True)
class DecodedObject:
    """An object's content: the digest of its bytes (None where they could not be read) and what they decoded to."""

    item: AudioObject
    sha256: str | None
    audio: Decoded | Reject | LongRecording

    @property
    def held_s(self) -> float:
        """Seconds of waveform that are in memory."""
        return sum(map(len, self.audio.waveforms.values())) / SAMPLE_RATE if isinstance(self.audio, Decoded) else 0.0


def fetch_ahead(
    items: Iterable[AudioObject],
    *,
    config: AudioConfig,
    resources: Resources = Resources(),
    read: Callable[[str, str], bytes] | None = None,
) -> Iterator[DecodedObject]:
    """Reads in threads and decodes in processes, as many and as far ahead as `resources` allow; yields in order.

    Raises TransientError where the store does not answer, CredentialsError where it does not any more.
    """
    resources = resources.settled()  # as it is, where it was before
    waiting: deque[tuple[int, Future[DecodedObject], Future[Held | Reject]]] = deque()
    in_flight, ahead = 0, _DecodedBudget(resources.block_s)
    read = read or partial(read_object, retry_policy=resources.retry_policy)
    readers = ThreadPoolExecutor(resources.n_readers, thread_name_prefix="read")
    pool = ThreadPoolExecutor(resources.n_decoders, thread_name_prefix="decode")

    def decoded(number: int, item: AudioObject, reading: "Future[Held | Reject]") -> DecodedObject:
        found = reading.result()
        ahead.wait(number)
        fetched = _decode(item, found, config=config, resources=resources)
        ahead.add(fetched.held_s)
        return fetched

    def handed_on() -> DecodedObject:
        fetched = waiting.popleft()[1].result()
        ahead.release(fetched.held_s)
        return fetched

    try:
        for number, item in enumerate(items):
            while waiting and (len(waiting) >= resources.n_ahead or in_flight + item.bytes > resources.bytes_ahead):
                in_flight -= waiting[0][0]
                yield handed_on()
            reading = readers.submit(hold, item, read, resources.retry_policy)
            waiting.append((item.bytes, pool.submit(decoded, number, item, reading), reading))
            in_flight += item.bytes
        while waiting:
            yield handed_on()
    finally:
        ahead.stop()
        for threads in (readers, pool):
            threads.shutdown(cancel_futures=True)
        for *_, reading in waiting:  # read, and never decoded: a copy must not stay
            if not reading.cancelled() and not reading.exception() and isinstance(found := reading.result(), Held):
                found.close()


class _DecodedBudget:
    """Lets a decoder begin while less than `most_s` is decoded and not yet handed on, or when its item is the next."""

    def __init__(self, most_s: float) -> None:
        self._most_s, self._held_s, self._next = most_s, 0.0, 0
        self._stopped, self._changed = False, threading.Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._held_s < self._most_s or number == self._next)

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


def _decode(item: AudioObject, found: Held | Reject, *, config: AudioConfig, resources: Resources) -> DecodedObject:
    if isinstance(found, Reject):
        return DecodedObject(item, None, found)
    try:
        with closing(process_pool.windows(found.content, config=config, resources=resources)) as windows:
            return DecodedObject(
                item, found.sha256, _gather_unless_long(windows, min(resources.long_s, 2 * resources.block_s))
            )
    finally:
        found.close()


def _gather_unless_long(
    windows: Iterator[Window | Measures | Reject], most_s: float
) -> Decoded | Reject | LongRecording:
    """The whole recording, unless all its channels together last longer than `most_s`."""
    n_samples, kept = 0, []
    for item in windows:
        if isinstance(item, Window):
            n_samples += len(item.samples)
            if n_samples > most_s * SAMPLE_RATE:
                return LongRecording()
        kept.append(item)
    return gathered(iter(kept))
