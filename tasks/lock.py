"""One publisher at a time: a lock file that appears by a conditional write, and goes stale with its holder."""

import contextlib
import datetime as dt
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from data_contracts.errors import LakeError
from data_contracts.fingerprint import fingerprint
from data_contracts.lake import Lake

PATH = "staging/publish.lock"
_BEAT_S, _STALE_S = 20.0, 180.0


@contextlib.contextmanager
def publishing(lake: Lake, holder: str, *, patience_s: float = 1800.0) -> Iterator[None]:
    """Waits for the lock, holds it, gives it back. Raises LakeError where another run keeps it for too long.

    A holder says every twenty seconds that it lives. One that has not for three minutes is dead, and so is one whose
    process is gone from this machine.
    """
    waited_s = 0.0
    while not lake.create(PATH, _claim(holder)):
        held = _held(lake)
        if _is_dead(held) and _may_clear(lake, held):
            lake.remove(PATH)
            continue
        if waited_s >= patience_s:
            since = dt.datetime.fromtimestamp(held.get("since", 0), dt.UTC).isoformat(timespec="seconds")
            raise LakeError(
                f"{lake.at(PATH)}: run {held.get('holder')} publishes since {since}; wait for it, or end it"
            )
        time.sleep(0.25)
        waited_s += 0.25
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(lake, holder, time.time(), done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        lake.remove(PATH)


def _beat(lake: Lake, holder: str, since: float, done: threading.Event) -> None:
    while not done.wait(_BEAT_S):
        lake.write(PATH, _claim(holder, since))


def _claim(holder: str, since: float | None = None) -> bytes:
    now = time.time()
    place = {"host": socket.gethostname(), "pid": os.getpid()}
    return json.dumps({"holder": holder, "since": since or now, "alive": now, **place}).encode()


def _held(lake: Lake) -> dict[str, Any]:
    """What the holder said last; nothing where the lock was just given back."""
    try:
        return dict(lake.read_json(PATH))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _is_dead(held: dict[str, Any]) -> bool:
    if not held:
        return False
    if held["host"] == socket.gethostname() and not _is_running(held["pid"]):
        return True
    return bool(time.time() - held["alive"] > _STALE_S)


def _may_clear(lake: Lake, dead: dict[str, Any]) -> bool:
    """True for one waiter only: the others would take away the lock that the first has made by then."""
    return lake.create(f"{PATH}.{fingerprint(dead['holder'], dead['since'])}", b"")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
