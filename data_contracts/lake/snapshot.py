"""Snapshot of all tables as one run left them, by a pointer that moves when a publication is complete.

A publication commits table by table. Between the first commit and the last, the newest versions belong to two runs;
those that `analytics/published.json` names always belong to one. It holds
`{"run_id": …, "versions": {table: Delta version}}`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from deltalake import DeltaTable

from data_contracts.errors import UsageError
from data_contracts.lake.tables import Tables
from data_contracts.schema.tables import TABLE_KEYS

POINTER = "analytics/published.json"


@dataclass(frozen=True)
class Snapshot:
    """The tables as one run left them; every read through it gives the same rows.

    A later publication is seen by a new `snapshot`. `undertone maintain` keeps the versions for its retention.
    """

    lake: Tables
    run_id: str | None  # None: published before there was a pointer; the newest versions are read
    versions: Mapping[str, int] = field(default_factory=dict)

    def delta(self, table: str) -> DeltaTable | None:
        """Open the analytics table at its version; None before its first publication."""
        if self.run_id is None:
            return self.lake.delta(table)
        return self.lake.delta(table, self.versions[table]) if table in self.versions else None

    def scan(self, table: str) -> pl.LazyFrame:
        """Scan the table lazily. Raises UsageError where it does not exist (yet)."""
        if table not in TABLE_KEYS:
            raise UsageError(f"expected one of {', '.join(TABLE_KEYS)}; found {table!r}")
        found = self.delta(table)
        if found is None:
            when = "yet; run `undertone backfill`" if self.run_id is None else f"by {self.run_id} or before"
            raise UsageError(f"{self.lake.uri_of('analytics', table)} has nothing published {when}")
        return pl.scan_delta(found, storage_options=self.lake.polars_options)


def snapshot(lake: Tables) -> Snapshot:
    """Return the snapshot of the newest complete publication."""
    try:
        pointer = lake.read_json(POINTER)
    except FileNotFoundError:
        return Snapshot(lake, None)
    return Snapshot(lake, pointer["run_id"], pointer["versions"])


def newest_versions(lake: Tables) -> dict[str, int]:
    """Return the newest Delta version of every table; -1 before a table's first publication."""
    tables = {table: lake.delta(table) for table in TABLE_KEYS}
    return {table: -1 if delta is None else int(delta.version()) for table, delta in tables.items()}


def move_pointer(lake: Tables, run_id: str, newest: Mapping[str, int]) -> None:
    """Move the pointer to the `newest` versions. The caller holds the lock and has committed every table."""
    found = {table: version for table, version in newest.items() if version >= 0}
    lake.write(POINTER, json.dumps({"run_id": run_id, "versions": found}, indent=2).encode())
