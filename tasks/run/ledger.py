"""The ledger of a run: counts, times and verdict, kept in its staging folder and published as a row of `runs`."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version as package_version
from typing import Any, Self

from data_contracts.lake import Lake
from data_contracts.records import Counts
from data_contracts.schema.tables import RUNS, STAGES
from tasks.run import staging_paths as paths

_STAGED_FIELDS = (
    *("n_scored", "n_published_recordings", "n_published_utterances", "n_new_speakers"),
    *("verdict", "validation", "failures", "drift"),
)
_DRIFT_MARK = "(drifted)"  # in the failures of ledgers that were saved without `drift`


@dataclass
class Ledger:
    """Counts, times and verdict of a run: `staging/run=…/run.json` while it works, then its row of `runs`."""

    run_id: str
    flow: str
    started: dt.datetime
    status: str = "running"  # running | done | failed | stopped
    window_from: dt.date | None = None
    window_to: dt.date | None = None
    finished: dt.datetime | None = None
    code_version: str = field(default_factory=lambda: package_version("undertone"))
    emotion_model: str = ""
    speaker_model: str = ""
    feature_version: str = ""
    emotion_prior: str | None = None
    n_listed: int = 0
    n_known: int = 0
    left_alone: dict[str, int] = field(default_factory=dict)  # rejects that failed too often, by reason
    n_planned: int = 0
    extracted: Counts = field(default_factory=Counts)
    n_scored: int = 0
    n_published_recordings: int = 0
    n_published_utterances: int = 0
    n_new_speakers: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    verdict: str = "nothing_to_check"
    validation: str | None = None
    failures: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)  # the failures that warn of drift, each once
    error: str | None = None
    attempt: int = 0  # of staging: the next dates, or the same again because another run published first
    versions: dict[str, int] = field(default_factory=dict)  # of the tables, as it left them
    stage: str = ""  # current or last
    is_watched: bool = False  # by a Prefect worker, which reports its death

    def __post_init__(self) -> None:
        self.on_stage: Callable[[], None] = _ignore  # no field: it is not saved

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of the block to those of the stage."""
        self.stage, started = stage, time.perf_counter()
        self.on_stage()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def staged_fields(self) -> dict[str, Any]:
        """Return the fields about everything staged so far."""
        return {name: getattr(self, name) for name in _STAGED_FIELDS}

    def restore_fields(self, before: dict[str, Any]) -> None:
        """Go back to `before`: the rows staged since are not published, another run came first."""
        for name, value in before.items():
            setattr(self, name, value)

    @property
    def elapsed_s(self) -> float:
        return ((self.finished or dt.datetime.now(dt.UTC)) - self.started).total_seconds()

    def row(self) -> dict[str, Any]:
        """Return the row of `runs`."""
        done = self.extracted
        values = asdict(self) | {
            "finished": self.finished or dt.datetime.now(dt.UTC),
            "n_read": done.n_objects,
            "n_ok": done.n_ok,
            "n_rejected": done.n_rejected,
            "bytes_read": done.n_bytes,
            "audio_hours": done.audio_s / 3600,
            "rtfx": done.audio_s / self.elapsed_s if done.audio_s else None,
            "versions": json.dumps(self.versions),
        }
        values |= {f"{stage}_s": self.seconds.get(stage) for stage in STAGES}
        return {name: values[name] for name in RUNS.names}

    def save(self, lake: Lake) -> None:
        lake.write_json(paths.ledger(self.run_id), asdict(self))

    @classmethod
    def restore(cls, saved: dict[str, Any]) -> Self:
        """Make the ledger that `save` wrote, in this version or one with other fields."""
        saved = {f.name: saved[f.name] for f in fields(cls) if f.name in saved}
        saved.setdefault("drift", [words for words in saved.get("failures", []) if _DRIFT_MARK in words])
        times = {name: dt.datetime.fromisoformat(saved[name]) for name in ("started", "finished") if saved.get(name)}
        days = {name: dt.date.fromisoformat(saved[name]) for name in ("window_from", "window_to") if saved.get(name)}
        ledger = cls(**{**saved, **times, **days})
        counted = {f.name: saved["extracted"].get(f.name, 0) for f in fields(Counts)}
        return replace(ledger, extracted=Counts(**counted))


def _ignore() -> None:
    """The stage callback without a heartbeat."""
