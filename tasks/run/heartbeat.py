"""Heartbeat of a run: `staging/run=…/alive.json` names its current stage and its process.

Its age is asked of the store, which dates the file by its own clock: the clocks of other machines may be wrong.
"""

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from data_contracts.errors import UndertoneError
from data_contracts.lake import Lake
from tasks.run import staging_paths as paths
from tasks.run.ledger import Ledger
from tasks.run.processes import has_ended, this_process

_BEAT_S, _STALE_S = 20.0, 180.0


@contextlib.contextmanager
def heartbeat(lake: Lake, ledger: Ledger) -> Iterator[None]:
    """Write the file every 20 s, and at once where a stage begins; remove it at the end."""
    wake, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(lake, ledger, wake, done), daemon=True)
    on_stage, ledger.on_stage = ledger.on_stage, wake.set
    thread.start()
    try:
        yield
    finally:
        done.set()
        wake.set()
        thread.join()
        ledger.on_stage = on_stage
        with contextlib.suppress(UndertoneError):
            lake.remove(paths.sign_of_life(ledger.run_id))


@dataclass(frozen=True)
class Liveness:
    """State of a run whose ledger says that it is running."""

    stage: str  # current or last; "" before the first
    is_dead: bool


def liveness(lake: Lake, ledger: Ledger) -> Liveness:
    """Return whether the run is dead: its process ended on this machine, or its heartbeat is three minutes old."""
    try:
        beat = lake.read_json(paths.sign_of_life(ledger.run_id))
        age_s = lake.age_s(paths.sign_of_life(ledger.run_id))
    except FileNotFoundError:  # not yet, or no more: its saved ledger is a sign of life too
        beat, age_s = {}, 0.0
        with contextlib.suppress(FileNotFoundError):
            age_s = lake.age_s(paths.ledger(ledger.run_id))
    is_dead = age_s >= _STALE_S or (bool(beat) and has_ended(beat["place"]))
    return Liveness(str(beat.get("stage", ledger.stage)), is_dead)


def _beat(lake: Lake, ledger: Ledger, wake: threading.Event, done: threading.Event) -> None:
    while not done.is_set():
        wake.clear()
        beat = {"stage": ledger.stage, "place": this_process(), "when": dt.datetime.now(dt.UTC)}
        with contextlib.suppress(UndertoneError):  # the next may come through
            lake.write_json(paths.sign_of_life(ledger.run_id), beat)
        wake.wait(_BEAT_S)
