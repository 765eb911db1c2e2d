"""Snapshot of all tables as one run left them, by a pointer that moves when a publication is complete.

A publication commits table by table. Between the first commit and the last, the newest versions belong to two runs;
those that `analytics/published.json` names always belong to one (`data_contracts.lake.pointer`).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from deltalake import DeltaTable

from data_contracts.errors import DamagedFile, UsageError
from data_contracts.lake.pointer import LOST, Pointer, read_pointer, write_pointer
from data_contracts.lake.published_version import find_published, restore_command
from data_contracts.lake.tables import Tables
from data_contracts.schema.tables import TABLE_KEYS

_log = logging.getLogger("undertone.lake")
_warned: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Snapshot:
    """The tables as one run left them; every read through it gives the same rows.

    A later publication is seen by a new `snapshot`. `undertone maintain` keeps the versions for its retention.
    """

    lake: Tables
    run_id: str | None  # None: published before there was a pointer; the newest versions are read
    versions: Mapping[str, int] = field(default_factory=dict)
    is_newest: bool = False

    def delta(self, table: str) -> DeltaTable | None:
        """Open the analytics table at its version; None before its first publication.

        Of the newest publication it is a later version with the same rows, where another tool compacted the table and
        removed the files. Raises DamagedFile where the rows are gone.
        """
        if self.run_id is None:
            return self.lake.delta(table)
        if table not in self.versions:
            return None
        return self._published(table) if self.is_newest else self.lake.delta(table, self.versions[table])

    def _published(self, table: str) -> DeltaTable:
        version, place = self.versions[table], self.lake.uri_of("analytics", table)
        if version == LOST:
            raise DamagedFile(
                f"expected the rows of {place}; found them lost, and a run that publishes them again; wait for it, or "
                "start it again where it is dead (`undertone runs`)"
            )
        found = find_published(self.lake, table, version)
        if found.delta is None:
            lost = "; ".join(f"{file.path}: {file.found}" for file in found.lost[:3])
            others = f" (other tools made {', '.join(found.changes)})" if found.changes else ""
            raise DamagedFile(
                f"expected {place} at version {version}, as run {self.run_id} published it; found {len(found.lost)} of "
                f"its files gone or cut: {lost}{others}; {restore_command(found.lost)} publishes these "
                "rows again from stored features"
            )
        if found.changes and (key := (place, found.changes[0])) not in _warned:
            _warned.add(key)
            _log.warning(
                "%s was changed by another tool since run %s published it, which queries do not show: %s; `undertone "
                "maintain --accept-changes` publishes the change",
                *(place, self.run_id, ", ".join(found.changes)),
            )
        return found.delta

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
    pointer = read_pointer(lake)
    return Snapshot(lake, None) if pointer is None else Snapshot(lake, pointer.run_id, pointer.versions, is_newest=True)


def newest_versions(lake: Tables) -> dict[str, int]:
    """Return the newest Delta version of every table; -1 before a table's first publication."""
    tables = {table: lake.delta(table) for table in TABLE_KEYS}
    return {table: -1 if delta is None else int(delta.version()) for table, delta in tables.items()}


def move_pointer(lake: Tables, run_id: str, newest: Mapping[str, int], *, keep_lost: bool = False) -> None:
    """Move the pointer to the `newest` versions. The caller holds the lock and has committed every table.

    With `keep_lost`, tables whose rows are being published again stay lost: more of them follows.
    """
    found = {table: version for table, version in newest.items() if version >= 0}
    before = read_pointer(lake) if keep_lost else None
    lost = [table for table, version in before.versions.items() if version == LOST] if before is not None else []
    write_pointer(lake, Pointer(run_id, found | dict.fromkeys(lost, LOST)))
