"""A run's sign of life: `staging/run=…/alive.json` says which stage it is in, and where it works.

How long ago that was is asked of the store, which dates the file by its own clock: those of others may be wrong.
"""

import contextlib
import datetime as dt
import json
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
    """Says every 20 s, and at once where a stage begins, that the run lives; takes the word back at the end."""
    wake, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(lake, ledger, wake, done), daemon=True)
    ledger.on_stage = wake.set
    thread.start()
    try:
        yield
    finally:
        done.set()
        wake.set()
        thread.join()
        with contextlib.suppress(UndertoneError):
            lake.remove(paths.sign_of_life(ledger.run_id))


@dataclass(frozen=True)
class Liveness:
    """What is known of a run that calls itself running."""

    stage: str  # that it is in, or died in; "" where it had begun none
    is_dead: bool


def liveness(lake: Lake, ledger: Ledger) -> Liveness:
    """Dead is whose process is gone from this machine, and who gave no sign of life for three minutes."""
    try:
        said = json.loads(lake.read(paths.sign_of_life(ledger.run_id)))
        age_s = lake.age_s(paths.sign_of_life(ledger.run_id))
    except FileNotFoundError:  # not yet, or no more: the ledger that it saved is a sign too
        said, age_s = {}, 0.0
        with contextlib.suppress(FileNotFoundError):
            age_s = lake.age_s(paths.ledger(ledger.run_id))
    is_dead = age_s >= _STALE_S or (bool(said) and has_ended(said["place"]))
    return Liveness(str(said.get("stage", ledger.stage)), is_dead)


def _beat(lake: Lake, ledger: Ledger, wake: threading.Event, done: threading.Event) -> None:
    while not done.is_set():
        wake.clear()
        word = {"stage": ledger.stage, "place": this_process(), "when": dt.datetime.now(dt.UTC)}
        with contextlib.suppress(UndertoneError):  # the next may come through
            lake.write_json(paths.sign_of_life(ledger.run_id), word)
        wake.wait(_BEAT_S)
