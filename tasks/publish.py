"""Stage 8: staged tables into Delta, one commit a table, the run's id in each, the ledger and the pointer last.

What was audited leaves `ready.json`; a run that died between two tables' commits is rolled forward by the next.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from data_contracts.conditional import require_conditional_writes
from data_contracts.errors import LakeError, PublishConflict
from data_contracts.lake import Lake
from data_contracts.published import point, versions
from data_contracts.schemas import BY_DAY, PUBLISHED, RUNS
from tasks import run_staging_paths as paths
from tasks.commit import ATTEMPT, RUN_ID, Change, commit, commits
from tasks.ledger import Ledger
from tasks.lock import Held, publishing
from tasks.run import Run, new_id
from tasks.stage import stage

_READ = ("utterances", "speakers", "recordings")  # what staging builds upon


@stage
def publish(run: Run, ledger: Ledger, base: dict[str, int], *, is_last: bool) -> None:
    """Publishes what was staged and audited. Raises PublishConflict where another run came first: stage again.

    The ledger's row says that the run is done where this is the last of it.
    """
    with alone(run.lake, run.id) as held:
        finish_the_dead(held, but=run.id)
        _check_base(run.lake, ledger, base)
        run.lake.write_json(paths.ready(run.id), {"base": base, "is_last": is_last})
        publish_staged(held, ledger, base, is_last=is_last)


@stage
def finish(lake: Lake, ledger: Ledger) -> None:
    """The ledger's row of a run that has nothing (more) to publish."""
    with alone(lake, ledger.run_id) as held:
        finish_the_dead(held)
        _write_ledger(held, ledger, is_last=True, since=None)


@stage
def roll_forward(lake: Lake) -> list[str]:
    """Publishes what runs that died had audited and begun to publish. Returns their ids.

    `ready.json` stands only while its run holds the lock: whoever holds the lock and sees one sees a dead run's.
    """
    if not _waiting(lake):
        return []
    with alone(lake, "roll-forward") as held:
        return finish_the_dead(held)


@contextmanager
def alone(lake: Lake, holder: str) -> Iterator[Held]:
    """The lock, where it can be trusted. Raises LakeError where the store does not keep conditions."""
    require_conditional_writes(lake)
    with publishing(lake, holder) as held:
        yield held


def finish_the_dead(held: Held, *, but: str = "") -> list[str]:
    """The same for a caller who holds the lock: nobody publishes over what is half published.

    `but` is the caller's own run, tried again after a hiccup.
    """
    return [run_id for run_id in _waiting(held.lake) if run_id != but and _finish_dead(held, run_id)]


def publish_staged(held: Held, ledger: Ledger, base: dict[str, int], *, is_last: bool = True) -> None:
    """Merges every staged table once, then the ledger's row. Raises PublishConflict where the lock went to another."""
    lake = held.lake
    with ledger.timed("publish"):
        dates = _dates(lake, ledger.run_id)
        for table in PUBLISHED:
            if lake.exists(paths.table(ledger.run_id, table)):  # an amendment stages what it changes
                change = _change(lake, ledger.run_id, table, dates.get(table))
                held.check()
                commit(lake, change, _stamp(ledger), since=base.get(table))
    _write_ledger(held, ledger, is_last=is_last, since=base.get("runs"))


def _change(lake: Lake, run_id: str, table: str, dates: list[dt.date] | None) -> Change:
    rows = lake.read_parquet(paths.table(run_id, table))
    if table in BY_DAY:
        return Change(table, rows, dates=dates or _touched(lake, run_id), replace=True)
    gone = paths.deletes(run_id, table)
    return Change(table, rows, gone=lake.read_parquet(gone) if lake.exists(gone) else None, dates=dates)


def _touched(lake: Lake, run_id: str) -> list[dt.date]:
    """The dates to replace, as an earlier version staged them: the same for every table by day."""
    return list(lake.read_parquet(paths.deleted_dates(run_id))["date"].to_pylist())


def _dates(lake: Lake, run_id: str) -> dict[str, list[dt.date]]:
    """Where the rows of the large tables lie; what an earlier version staged does not say, and looks everywhere."""
    try:
        found = lake.read_json(paths.dates(run_id))
    except FileNotFoundError:
        return {}
    return {table: [dt.date.fromisoformat(day) for day in days] for table, days in found.items()}


@dataclass(frozen=True)
class Amendment:
    """A change to published tables: rows to write, keys to delete, and the days that tables by day are replaced on."""

    tables: dict[str, pa.Table]
    deletes: dict[str, pa.Table] = field(default_factory=dict)
    days: tuple[dt.date, ...] = ()


def amend(lake: Lake, flow: str, make: Callable[[str], Amendment | None]) -> str | None:
    """Publishes outside of a run what a person asked for, and writes it into the ledger; None: nothing to change.

    `make` gets the id under which it is published, and sees the tables as they stand under the lock. Killed on the
    way, the next who publishes finishes it.
    """
    now = dt.datetime.now(dt.UTC)
    ledger = Ledger(new_id(now), flow, now, verdict="passed")
    with alone(lake, ledger.run_id) as held:
        finish_the_dead(held)
        base = versions(lake)
        change = make(ledger.run_id)
        if change is None:
            return None
        for table, rows in change.tables.items():
            lake.write_parquet(paths.table(ledger.run_id, table), rows)
        for table, keys in change.deletes.items():
            lake.write_parquet(paths.deletes(ledger.run_id, table), keys)
        lake.write_json(paths.dates(ledger.run_id), _where(change))
        ledger.save(lake)
        lake.write_json(paths.ready(ledger.run_id), {"base": base})
        publish_staged(held, ledger, base)
    return ledger.run_id


def _where(change: Amendment) -> dict[str, list[str]]:
    """The dates of utterances that a person changes: they stay on them."""
    places = {table: list(change.days) for table in BY_DAY if table in change.tables}
    rows = change.tables.get("utterances")
    if rows is not None:
        places["utterances"] = rows["date"].to_pylist()
    return {table: sorted({day.isoformat() for day in days}) for table, days in places.items()}


def _waiting(lake: Lake) -> list[str]:
    return [run_id for run_id in paths.run_ids(lake) if lake.exists(paths.ready(run_id))]


def _finish_dead(held: Held, run_id: str) -> bool:
    lake = held.lake
    ledger = Ledger.restore(lake.read_json(paths.ledger(run_id)))
    ready: dict[str, Any] = lake.read_json(paths.ready(run_id))
    try:
        _check_base(lake, ledger, ready["base"])
    except PublishConflict:  # others went ahead: what it staged is still in the store, and is staged anew
        _clear(lake, run_id)
        ledger.status, ledger.error = "dead", "it died before it published, and others published first"
        ledger.save(lake)  # `undertone runs` goes on showing it
        return False
    try:
        publish_staged(held, ledger, ready["base"], is_last=ready.get("is_last", True))
    except LakeError as error:
        raise LakeError(
            f"finishing run {run_id}, which died publishing: {error}; to go on without it, move "
            f"{lake.at(paths.folder(run_id))} away"
        ) from error
    return True


def _write_ledger(held: Held, ledger: Ledger, *, is_last: bool, since: int | None) -> None:
    """The run's row, which says that all the others are there; the pointer to all of them; then its staging goes."""
    lake = held.lake
    held.check()
    ledger.versions = versions(lake)
    if is_last:
        ledger.status, ledger.finished = "done", dt.datetime.now(dt.UTC)
    commit(lake, Change("runs", pa.Table.from_pylist([ledger.row()], schema=RUNS)), _stamp(ledger), since=since)
    runs = lake.delta("runs")
    point(lake, ledger.run_id, ledger.versions | ({"runs": int(runs.version())} if runs is not None else {}))
    if is_last:
        _clear(lake, ledger.run_id)
    else:
        lake.remove(paths.ready(ledger.run_id))


def _clear(lake: Lake, run_id: str) -> None:
    """The mark first: a staging that is half gone must not look as if it waited."""
    lake.remove(paths.ready(run_id))
    lake.remove(paths.folder(run_id))


def _stamp(ledger: Ledger) -> dict[str, str]:
    """What a commit's metadata says of whence it came."""
    return {RUN_ID: ledger.run_id, ATTEMPT: str(ledger.attempt)}


def _check_base(lake: Lake, ledger: Ledger, base: dict[str, int]) -> None:
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
