"""History of promotions and rollbacks: tags of a version for the last change, of the model for all changes."""

import datetime as dt
import json
from typing import Any

from data_contracts.records import ModelRef
from models.registry.mlflow_registry import Registry

_CHANGE = "undertone.change."


def record_promotion(
    registry: Registry,
    ref: ModelRef,
    replaced: ModelRef | None,
    evaluation: dict[str, Any],
    *,
    forced: bool,
    reason: str,
    now: dt.datetime,
) -> None:
    """Record that `ref` took the place of `replaced`; `evaluation` holds the metrics of both."""
    tags = {
        "promoted_at": _timestamp(now),
        "replaced": replaced.label if replaced else "nothing",
        "evaluation": json.dumps(evaluation),
        "forced": str(forced).lower(),
        "reason": reason or "none given",
    }
    registry.tag(ref.name, ref.version, {f"undertone.{key}": value for key, value in tags.items()})
    change = {"what": "promoted", "version": ref.label, **tags, "evaluation": evaluation}
    _note(registry, ref.name, change, now)


def record_rollback(registry: Registry, ref: ModelRef, replaced: ModelRef, *, reason: str, now: dt.datetime) -> None:
    """Record that `replaced` made way for `ref`, the champion before it."""
    shared = {"reason": reason or "none given"}
    back = {"promoted_at": _timestamp(now), "replaced": replaced.label, "forced": "false", **shared}
    left = {"rolled_back_at": _timestamp(now), "rolled_back_to": ref.label, **shared}
    for version, tags in ((ref.version, back), (replaced.version, left)):
        registry.tag(ref.name, version, {f"undertone.{key}": value for key, value in tags.items()})
    change = {"what": "rolled back", "version": ref.label, "at": _timestamp(now), "replaced": replaced.label, **shared}
    _note(registry, ref.name, change, now)


def read_changes(registry: Registry, name: str) -> list[dict[str, Any]]:
    """Return every promotion and rollback, newest first."""
    notes = registry.notes(name)
    return [json.loads(notes[key]) for key in sorted(notes, reverse=True) if key.startswith(_CHANGE)]


def _note(registry: Registry, name: str, change: dict[str, Any], now: dt.datetime) -> None:
    registry.note(name, f"{_CHANGE}{now:%Y%m%dT%H%M%S.%f}Z", json.dumps(change))


def _timestamp(now: dt.datetime) -> str:
    return now.isoformat(timespec="seconds")
