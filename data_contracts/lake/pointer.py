"""Pointer of the newest complete publication: its run, and the Delta version of each table that belongs to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from data_contracts.lake.damage import unreadable_file
from data_contracts.lake.storage import Storage

POINTER = "analytics/published.json"
LOST = -1
"""In place of a version: the table was lost, and a run is publishing its rows again."""


@dataclass(frozen=True)
class Pointer:
    """`{"run_id": …, "versions": {table: Delta version}}`."""

    run_id: str
    versions: Mapping[str, int]


def read_pointer(storage: Storage) -> Pointer | None:
    """Return the pointer, None before the first publication. Raises DamagedFile where its file says something else."""
    try:
        found = storage.read_json(POINTER)
    except FileNotFoundError:
        return None
    try:
        versions = {str(table): int(version) for table, version in found["versions"].items()}
        return Pointer(str(found["run_id"]), versions)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        expected = "the run and the tables' versions of the last publication"
        raise unreadable_file(storage.uri, POINTER, expected, str(found)[:80]) from error


def write_pointer(storage: Storage, pointer: Pointer) -> None:
    storage.write(POINTER, json.dumps(vars(pointer), indent=2).encode())
