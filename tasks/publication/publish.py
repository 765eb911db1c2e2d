"""Publication of staged tables: one commit a table, the run's id in each, the ledger and the pointer last."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from data_contracts.errors import PublishConflict
from data_contracts.lake import Lake
from data_contracts.lake.conditional_writes import require_conditional_writes
from data_contracts.lake.snapshot import move_pointer, newest_versions
from data_contracts.schema.tables import DAILY_TABLES, RUNS, STAGED_TABLES
from tasks.publication.commit import ATTEMPT, RUN_ID, Change, commit, commits
from tasks.publication.foreign_changes import require_no_changes
from tasks.publication.lock import HeldLock, hold_lock
from tasks.run import staging_paths as paths
from tasks.run.ledger import Ledger

_BASE_TABLES = ("utterances", "speakers", "recordings")  # read by the stages before


@contextmanager
def publish_lock(lake: Lake, holder: str, *, accept_changes: bool = False) -> Iterator[HeldLock]:
    """Hold the publish lock.

    Raises LakeError where the store has no conditional writes, which the lock needs, and where another tool changed
    rows since the last publication: what is published next would publish that too. `accept_changes` does.
    """
    require_conditional_writes(lake)
    with hold_lock(lake, holder) as lock:
        if not accept_changes:
            require_no_changes(lake)
        yield lock


def publish_staged(lock: HeldLock, ledger: Ledger, base: dict[str, int], *, is_last: bool = True) -> None:
    """Merge every staged table once, then the ledger's row. Raises PublishConflict where the lock was lost."""
    lake = lock.lake
    with ledger.timed("publish"):
        dates = _staged_dates(lake, ledger.run_id)
        for table in STAGED_TABLES:
            if lake.exists(paths.table(ledger.run_id, table)):  # a manual change stages only some
                change = _staged_change(lake, ledger.run_id, table, dates.get(table))
                lock.check()
                commit(lake, change, _stamp(ledger), since=base.get(table))
    write_ledger(lock, ledger, is_last=is_last, since=base.get("runs"))


def _staged_change(lake: Lake, run_id: str, table: str, dates: list[dt.date] | None) -> Change:
    rows = lake.read_parquet(paths.table(run_id, table))
    if table in DAILY_TABLES:
        return Change(table, rows, dates=dates or _legacy_dates(lake, run_id), replace=True)
    path = paths.deletes(run_id, table)
    return Change(table, rows, deletes=lake.read_parquet(path) if lake.exists(path) else None, dates=dates)


def _legacy_dates(lake: Lake, run_id: str) -> list[dt.date]:
    """The dates to replace, as an earlier version staged them: the same for every daily table."""
    return list(lake.read_parquet(paths.deleted_dates(run_id))["date"].to_pylist())


def _staged_dates(lake: Lake, run_id: str) -> dict[str, list[dt.date]]:
    """The dates of the staged rows by table; empty where an earlier version staged them: all dates are searched."""
    try:
        found = lake.read_json(paths.dates(run_id))
    except FileNotFoundError:
        return {}
    return {table: [dt.date.fromisoformat(day) for day in days] for table, days in found.items()}


def write_ledger(lock: HeldLock, ledger: Ledger, *, is_last: bool, since: int | None) -> None:
    """Commit the run's row, move the pointer to the new versions, then remove the staging.

    The row says that all the other tables are published, so it comes after them.
    """
    lake = lock.lake
    lock.check()
    ledger.versions = newest_versions(lake)
    if is_last:
        ledger.status, ledger.finished = "done", dt.datetime.now(dt.UTC)
    commit(lake, Change("runs", pa.Table.from_pylist([ledger.row()], schema=RUNS)), _stamp(ledger), since=since)
    runs = lake.delta("runs")
    versions = ledger.versions | ({"runs": int(runs.version())} if runs is not None else {})
    move_pointer(lake, ledger.run_id, versions, keep_lost=not (is_last and ledger.n_published_recordings))
    if is_last:
        clear_staging(lake, ledger.run_id)
    else:
        lake.remove(paths.ready(ledger.run_id))


def clear_staging(lake: Lake, run_id: str) -> None:
    """Remove a run's staging, the mark first: a half-removed one must not look ready."""
    lake.remove(paths.ready(run_id))
    lake.remove(paths.folder(run_id))


def _stamp(ledger: Ledger) -> dict[str, str]:
    """Commit metadata that names the run and its attempt."""
    return {RUN_ID: ledger.run_id, ATTEMPT: str(ledger.attempt)}


def check_base(lake: Lake, ledger: Ledger, base: dict[str, int]) -> None:
    """Raise PublishConflict where another run has changed a table since this one read it."""
    for table in _BASE_TABLES:
        newest = lake.delta(table)
        if newest is None or newest.version() == base[table]:
            continue
        others = [entry for entry in commits(newest, base[table]) if not _stamp(ledger).items() <= entry.items()]
        if others:
            raise PublishConflict(
                f"{table} went from version {base[table]} to {newest.version()} while {ledger.run_id} was staged"
            )
