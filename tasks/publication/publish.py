"""Publication of what is staged: one commit a table, the run's id in each, the ledger and the pointer last."""

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
from tasks.publication.lock import HeldLock, hold_lock
from tasks.run import staging_paths as paths
from tasks.run.ledger import Ledger

_READ = ("utterances", "speakers", "recordings")  # what staging builds upon


@contextmanager
def publish_lock(lake: Lake, holder: str) -> Iterator[HeldLock]:
    """The lock, where it can be trusted. Raises LakeError where the store does not keep conditions."""
    require_conditional_writes(lake)
    with hold_lock(lake, holder) as held:
        yield held


def publish_staged(held: HeldLock, ledger: Ledger, base: dict[str, int], *, is_last: bool = True) -> None:
    """Merges every staged table once, then the ledger's row. Raises PublishConflict where the lock went to another."""
    lake = held.lake
    with ledger.timed("publish"):
        dates = _staged_dates(lake, ledger.run_id)
        for table in STAGED_TABLES:
            if lake.exists(paths.table(ledger.run_id, table)):  # an amendment stages what it changes
                change = _staged_change(lake, ledger.run_id, table, dates.get(table))
                held.check()
                commit(lake, change, _stamp(ledger), since=base.get(table))
    write_ledger(held, ledger, is_last=is_last, since=base.get("runs"))


def _staged_change(lake: Lake, run_id: str, table: str, dates: list[dt.date] | None) -> Change:
    rows = lake.read_parquet(paths.table(run_id, table))
    if table in DAILY_TABLES:
        return Change(table, rows, dates=dates or _legacy_dates(lake, run_id), replace=True)
    gone = paths.deletes(run_id, table)
    return Change(table, rows, gone=lake.read_parquet(gone) if lake.exists(gone) else None, dates=dates)


def _legacy_dates(lake: Lake, run_id: str) -> list[dt.date]:
    """The dates to replace, as an earlier version staged them: the same for every table by day."""
    return list(lake.read_parquet(paths.deleted_dates(run_id))["date"].to_pylist())


def _staged_dates(lake: Lake, run_id: str) -> dict[str, list[dt.date]]:
    """Where the rows of the large tables lie; what an earlier version staged does not say, and looks everywhere."""
    try:
        found = lake.read_json(paths.dates(run_id))
    except FileNotFoundError:
        return {}
    return {table: [dt.date.fromisoformat(day) for day in days] for table, days in found.items()}


def write_ledger(held: HeldLock, ledger: Ledger, *, is_last: bool, since: int | None) -> None:
    """The run's row, which says that all the others are there; the pointer to all of them; then its staging goes."""
    lake = held.lake
    held.check()
    ledger.versions = newest_versions(lake)
    if is_last:
        ledger.status, ledger.finished = "done", dt.datetime.now(dt.UTC)
    commit(lake, Change("runs", pa.Table.from_pylist([ledger.row()], schema=RUNS)), _stamp(ledger), since=since)
    runs = lake.delta("runs")
    move_pointer(lake, ledger.run_id, ledger.versions | ({"runs": int(runs.version())} if runs is not None else {}))
    if is_last:
        clear_staging(lake, ledger.run_id)
    else:
        lake.remove(paths.ready(ledger.run_id))


def clear_staging(lake: Lake, run_id: str) -> None:
    """The mark first: a staging that is half gone must not look as if it waited."""
    lake.remove(paths.ready(run_id))
    lake.remove(paths.folder(run_id))


def _stamp(ledger: Ledger) -> dict[str, str]:
    """What a commit's metadata says of whence it came."""
    return {RUN_ID: ledger.run_id, ATTEMPT: str(ledger.attempt)}


def check_base(lake: Lake, ledger: Ledger, base: dict[str, int]) -> None:
    """Raises PublishConflict where a table has moved on since it was read, other than by this very publication."""
    for table in _READ:
        newest = lake.delta(table)
        if newest is None or newest.version() == base[table]:
            continue
        others = [entry for entry in commits(newest, base[table]) if not _stamp(ledger).items() <= entry.items()]
        if others:
            raise PublishConflict(
                f"{table} went from version {base[table]} to {newest.version()} while {ledger.run_id} was staged"
            )
