"""Snapshots of the past: of a run, of a time, or of one table at a Delta version.

    RUN      a run's id: the tables as that run left them, by its row of the ledger
    TIME     2026-11-21T03:00 (UTC, unless it says otherwise): the newest complete publication that was finished by then
    DATE     2026-11-21: the same by the end of that day, UTC
    VERSION  a number: that Delta version, of one table

`undertone maintain` keeps the versions for some days (`keep_versions_days`).
"""

import datetime as dt
import json
from collections.abc import Collection

import polars as pl
from deltalake.exceptions import DeltaError

from data_contracts.errors import DamagedFile, UsageError
from data_contracts.lake.snapshot import Snapshot, snapshot
from data_contracts.lake.tables import Tables
from data_contracts.schema.tables import RUNS

_ADVICE = "ask for a later one (`undertone runs` lists them)"


def snapshot_as_of(lake: Tables, when: str, tables: Collection[str]) -> Snapshot:
    """Return the snapshot as of `when`, after checking that `tables`, which will be read, are still available.

    Raises UsageError where `when` matches nothing in this lake, or was removed.
    """
    newest = snapshot(lake)
    if when == newest.run_id:
        return newest  # which `maintain` keeps, and may have brought to versions that say the same
    found = _snapshot_at_version(int(when), lake, tables) if when.isdecimal() else _snapshot_of_run(newest, when)
    for table in tables:
        _require_available(found, table)
    return found


def _snapshot_at_version(version: int, lake: Tables, tables: Collection[str]) -> Snapshot:
    if len(tables) != 1:
        raise UsageError(
            f"a Delta version, {version}, is of one table; found {', '.join(sorted(tables)) or 'none'}; for several "
            "give a run's id or a time"
        )
    (table,) = tables
    newest = lake.delta(table)
    if newest is None or version > newest.version():
        known = "none: it was never published" if newest is None else f"0 to {newest.version()}"
        raise UsageError(f"expected a version of {table}, {known}; found {version}")
    return Snapshot(lake, f"version {version}", {table: version})


def _find_run(ledger: pl.DataFrame, when: str) -> str:
    """Return the id of the run that `when`, a run's id or a time, refers to."""
    if when in ledger["run_id"]:
        return when
    try:
        moment = _parse_time(when)
    except ValueError:
        newest = ", ".join(ledger["run_id"].tail(3).to_list()) or "none yet"
        raise UsageError(
            f"expected a run that has published, a Delta version (a number) or an ISO time; found {when!r}; the newest "
            f"runs: {newest} (`undertone runs` lists all)"
        ) from None
    before = ledger.filter(pl.col("finished") <= moment)
    if before.is_empty():
        first = f"the first was finished {ledger['finished'][0]:%Y-%m-%dT%H:%M:%SZ}" if len(ledger) else "none yet"
        raise UsageError(f"expected a time by which something was published; found {when}; {first}")
    return str(before["run_id"][-1])


def _parse_time(when: str) -> dt.datetime:
    """Parse an ISO time, or a date as its end. Raises ValueError.

    >>> str(_parse_time("2026-11-21")), str(_parse_time("2026-11-21T03:00"))
    ('2026-11-21 23:59:59.999999+00:00', '2026-11-21 03:00:00+00:00')
    """
    try:
        moment = dt.datetime.combine(dt.date.fromisoformat(when), dt.time.max)
    except ValueError:
        moment = dt.datetime.fromisoformat(when)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _published_runs(newest: Snapshot) -> pl.DataFrame:
    """Return `run_id`, `finished` and `versions` of every publication, in order of time."""
    runs = newest.delta("runs")
    if runs is None:
        return pl.DataFrame(RUNS.empty_table()).select("run_id", "finished", "versions")
    rows = pl.scan_delta(runs, storage_options=newest.lake.polars_options).select("run_id", "finished", "versions")
    return rows.filter(pl.col("versions").is_not_null()).sort("finished").collect()


def _snapshot_of_run(newest: Snapshot, when: str) -> Snapshot:
    ledger = _published_runs(newest)
    run_id = _find_run(ledger, when)
    if run_id == newest.run_id:
        return newest
    (noted,) = ledger.filter(run_id=run_id)["versions"]
    versions = {table: version for table, version in json.loads(noted).items() if version >= 0}
    # A run notes the versions just before its own row is committed, under the lock: its row is in the next.
    return Snapshot(newest.lake, run_id, versions | {"runs": versions.get("runs", -1) + 1})


def _require_available(past: Snapshot, table: str) -> None:
    """Raise UsageError where files of a table's version were removed."""
    lake, version = past.lake, past.versions.get(table)
    if version is None:
        return
    message = (
        f"expected {table} at version {version}, as of {past.run_id}; it was removed: `undertone maintain` keeps "
        f"older versions for keep_versions_days; {_ADVICE}"
    )
    try:
        delta = past.delta(table)
    except (DeltaError, DamagedFile) as error:
        raise UsageError(message) from error
    needed = (
        {f"analytics/{table}/{path}" for path in pl.DataFrame(delta.get_add_actions(flatten=True))["path"]}
        if delta
        else set()
    )
    if needed - lake.sizes(f"analytics/{table}").keys():
        raise UsageError(message)
