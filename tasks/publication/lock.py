"""The publish lock: numbered files, one a holder; the maker of the newest holds it until the file says free.

    staging/publishing/00000041     {"free": true, …}            released
    staging/publishing/00000042     {"holder": RUN, "beat": 7}   held

No run writes or removes another's file while it is the newest, so a holder that was paused and declared dead cannot
disturb its successor. No clock is compared with another machine's: a living holder writes something new every 20 s.
"""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from data_contracts.errors import LakeError, PublishConflict, TransientError, UndertoneError
from data_contracts.lake import Lake
from data_contracts.lake.names import lock_number
from tasks.run import staging_paths as paths
from tasks.run.processes import has_ended, this_process

_BEAT_S, _STALE_S = 20.0, 180.0
_POLL_S = 0.25
_own_tokens: set[str] = set()  # of locks that this process holds, or is about to


@dataclass(frozen=True)
class HeldLock:
    """The lock in the hands of a run."""

    lake: Lake
    number: int
    holder: str
    since: str  # by its own clock
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def check(self) -> None:
        """Raise PublishConflict where another run has taken the lock over: this one was silent for too long."""
        newest = _numbers(self.lake)[-1:]
        if newest != [self.number]:
            raise PublishConflict(
                f"run {self.holder} gave no sign of life for {_STALE_S:.0f} s (its machine slept, or did not reach the "
                f"lake) and lost {self.lake.uri_of(paths.PUBLISH_LOCK)}; nothing is lost: run again"
            )


@contextlib.contextmanager
def hold_lock(lake: Lake, holder: str, *, patience_s: float = 1800.0) -> Iterator[HeldLock]:
    """Wait for the lock, hold it, release it. Raises LakeError where another run keeps it for too long.

    A holder that changes nothing for three minutes, as the waiter counts them, is dead, and so is one whose process has
    ended on this machine. Call `check` of the lock before each commit.
    """
    lock = _acquire(lake, holder, patience_s)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, done), daemon=True)
    beat.start()
    try:
        yield lock
    finally:
        done.set()
        beat.join()
        _own_tokens.discard(lock.token)
        _write_claim(lock, free=True)


def _acquire(lake: Lake, holder: str, patience_s: float) -> HeldLock:
    started = last = time.monotonic()
    last_claim, silent_s = b"", 0.0
    while True:
        newest = (_numbers(lake) or [0])[-1]
        content = _read_claim(lake, newest)
        now = time.monotonic()
        silent_s = silent_s + min(now - last, _BEAT_S) if content == last_claim else 0.0  # a paused waiter saw no beat
        last_claim, last = content, now
        claim = _parse_claim(content)
        if claim["free"] or _is_abandoned(claim) or silent_s >= _STALE_S:
            lock = HeldLock(lake, newest + 1, holder, since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            _own_tokens.add(lock.token)
            if _create(lock):
                return lock
            _own_tokens.discard(lock.token)
        elif now - started >= patience_s:
            raise LakeError(
                f"{lake.uri_of(paths.lock_file(newest))}: run {claim['holder']} publishes since {claim['since']}, by "
                f"the clock of {claim['place']['host']}; wait for it, or end it"
            )
        else:
            time.sleep(_POLL_S)


def _is_abandoned(claim: dict[str, Any]) -> bool:
    """True where the holder's process has ended, or is this one and could not release the lock."""
    return has_ended(claim["place"]) or (claim["place"] == this_process() and claim.get("token") not in _own_tokens)


def _create(lock: HeldLock) -> bool:
    """Create the lock's file and remove those before it; False where another run made the newest."""
    if not lock.lake.create(paths.lock_file(lock.number), _encode_claim(lock)):
        return False
    *older, newest = _numbers(lock.lake)
    if newest != lock.number:  # the number was used and removed while this waiter was paused
        lock.lake.remove(paths.lock_file(lock.number))
        return False
    leftovers = [paths.lock_file(number) for number in older]
    if not older:  # earlier versions left these
        leftovers = [
            f"{paths.STAGING}/{name}" for name in lock.lake.names(paths.STAGING) if name.startswith("publish.lock")
        ]
    with contextlib.suppress(LakeError, TransientError):
        for path in leftovers:
            lock.lake.remove(path)
    return True


def _beat(lock: HeldLock, done: threading.Event) -> None:
    while not done.wait(_BEAT_S):
        _write_claim(lock)


def _write_claim(lock: HeldLock, *, free: bool = False) -> None:
    """Write the claim; a failure is no error: the next may come through, and others take over from the silent."""
    with contextlib.suppress(UndertoneError):
        lock.lake.write(paths.lock_file(lock.number), _encode_claim(lock, free=free))


def _encode_claim(lock: HeldLock, *, free: bool = False) -> bytes:
    """No two claims are the same: so the others see that the holder lives."""
    claim = {"holder": lock.holder, "since": lock.since, "place": this_process(), "free": free}
    claim |= {"token": lock.token, "beat": uuid.uuid4().hex}
    return json.dumps(claim).encode()


def _read_claim(lake: Lake, number: int) -> bytes:
    """The holder's last claim; empty before the first holder, and where a newer one removed it."""
    try:
        return lake.read(paths.lock_file(number)) if number else b""
    except FileNotFoundError:
        return b""


def _parse_claim(content: bytes) -> dict[str, Any]:
    """What a claim says; damaged, that of a holder nobody knows, who is replaced when silent for long enough."""
    try:
        return dict(json.loads(content)) if content else {"free": True}
    except (ValueError, TypeError):
        return {
            "free": False,
            "holder": "unknown (its claim is damaged)",
            "since": "?",
            "place": {"host": "?", "machine": "?"},
        }


def _numbers(lake: Lake) -> list[int]:
    found = map(lock_number, lake.names(paths.PUBLISH_LOCK))
    return [number for number in found if number is not None]
