"""Manual changes of published tables: one publication each, under the lock, with a row in the ledger."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from data_contracts.schema.tables import DAILY_TABLES
from tasks.publication.publish import publish_lock, publish_staged
from tasks.publication.recovery import require_restored
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.run import staging_paths as paths
from tasks.run.context import new_id
from tasks.run.ledger import Ledger


@dataclass(frozen=True)
class ManualChange:
    """Rows to write, keys to delete, and the days on which daily tables are replaced."""

    tables: dict[str, pa.Table]
    deletes: dict[str, pa.Table] = field(default_factory=dict)
    days: tuple[dt.date, ...] = ()


def publish_manual_change(lake: Lake, flow: str, make: Callable[[str], ManualChange | None]) -> str | None:
    """Publish a change that a person asked for, with a row in the ledger. Returns its id; None: nothing to change.

    `make` gets that id, and sees the tables as they stand under the lock. If this process is killed on the way, the
    next publication finishes the change.
    """
    now = dt.datetime.now(dt.UTC)
    ledger = Ledger(new_id(now), flow, now, verdict="passed")
    with publish_lock(lake, ledger.run_id) as lock:
        require_restored(lake)
        roll_forward_dead_runs(lock)
        base = newest_versions(lake)
        change = make(ledger.run_id)
        if change is None:
            return None
        for table, rows in change.tables.items():
            lake.write_parquet(paths.table(ledger.run_id, table), rows)
        for table, keys in change.deletes.items():
            lake.write_parquet(paths.deletes(ledger.run_id, table), keys)
        lake.write_json(paths.dates(ledger.run_id), _dates(change))
        ledger.save(lake)
        lake.write_json(paths.ready(ledger.run_id), {"base": base})
        publish_staged(lock, ledger, base)
    return ledger.run_id


def _dates(change: ManualChange) -> dict[str, list[str]]:
    """The dates of the changed rows, by table; utterances stay on theirs."""
    dates = {table: list(change.days) for table in DAILY_TABLES if table in change.tables}
    rows = change.tables.get("utterances")
    if rows is not None:
        dates["utterances"] = rows["date"].to_pylist()
    return {table: sorted({day.isoformat() for day in days}) for table, days in dates.items()}
