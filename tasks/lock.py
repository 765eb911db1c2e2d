"""One publisher at a time: a lock file that appears by a conditional write, and goes stale with its holder."""

import contextlib
import datetime as dt
import json
import time
from collections.abc import Iterator

from data_contracts.errors import LakeError
from data_contracts.lake import Lake

_PATH = "staging/publish.lock"
STALE_S = 900.0


@contextlib.contextmanager
def publishing(lake: Lake, holder: str, *, patience_s: float = 600.0) -> Iterator[None]:
    """Waits for the lock, holds it, gives it back. Raises LakeError where another run holds it for too long.

    A lock older than fifteen minutes belongs to a run that died: publishing takes seconds.
    """
    waited_s = 0.0
    while not lake.create(_PATH, json.dumps({"holder": holder, "at": time.time()}).encode()):
        if _age_s(lake) > STALE_S:
            lake.remove(_PATH)
            continue
        if waited_s >= patience_s:
            raise LakeError(
                f"{lake.at(_PATH)} is held by another run since {_since(lake)}; if that run is dead, delete it"
            )
        time.sleep(0.25)
        waited_s += 0.25
    try:
        yield
    finally:
        lake.remove(_PATH)


def _held(lake: Lake) -> dict[str, float]:
    try:
        return dict(lake.read_json(_PATH))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _age_s(lake: Lake) -> float:
    return time.time() - float(_held(lake).get("at", time.time()))


def _since(lake: Lake) -> str:
    at = _held(lake).get("at")
    return "now" if at is None else dt.datetime.fromtimestamp(float(at), dt.UTC).isoformat(timespec="seconds")
