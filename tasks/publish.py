"""Stage 8: staged tables into Delta, one commit a table, the run's id in each, the ledger last.

A run that was audited leaves `ready.json`; one that died between two tables' commits is rolled forward by the next.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from data_contracts.errors import LakeError, PublishConflict
from data_contracts.foreign import translated
from data_contracts.lake import Lake
from data_contracts.schemas import PUBLISHED, RUNS, TABLE_KEYS
from tasks.ledger import Ledger
from tasks.lock import publishing
from tasks.run import Run, new_id
from tasks.select import versions
from tasks.stage import stage

RUN_ID, ATTEMPT = "undertone.run_id", "undertone.attempt"
_DAILY = ("emotion_daily", "speaker_daily")


@stage
def publish(run: Run, ledger: Ledger, base: dict[str, int]) -> None:
    """Publishes what was staged and audited. Raises PublishConflict where another run came first: stage again."""
    with publishing(run.lake, run.id):
        finish_the_dead(run.lake, but=run.id)
        _check_base(run.lake, ledger, base)
        run.lake.write_json(_ready(run.id), {"base": base})
        publish_staged(run.lake, ledger)


@stage
def finish(lake: Lake, ledger: Ledger) -> None:
    """The ledger's row of a run that had nothing to publish."""
    with publishing(lake, ledger.run_id):
        _write_ledger(lake, ledger)


@stage
def roll_forward(lake: Lake) -> list[str]:
    """Publishes what runs that died had audited and begun to publish. Returns their ids.

    `ready.json` stands only while its run holds the lock: whoever holds the lock and sees one sees a dead run's.
    """
    if not _waiting(lake):
        return []
    with publishing(lake, "roll-forward"):
        return finish_the_dead(lake)


def finish_the_dead(lake: Lake, *, but: str = "") -> list[str]:
    """The same for a caller who holds the lock: nobody publishes over what is half published.

    `but` is the caller's own run, tried again after a hiccup.
    """
    return [run_id for run_id in _waiting(lake) if run_id != but and _finish_dead(lake, run_id)]


def publish_staged(lake: Lake, ledger: Ledger) -> None:
    """Merges every staged table once, then the ledger's row. The caller holds the lock."""
    staging = f"staging/run={ledger.run_id}"
    with ledger.timed("publish"):
        for table in PUBLISHED:
            if not lake.exists(f"{staging}/tables/{table}.parquet"):
                continue  # an amendment stages what it changes
            rows = lake.read_parquet(f"{staging}/tables/{table}.parquet")
            if table in _DAILY:
                dates = lake.read_parquet(f"{staging}/deletes/dates.parquet")["date"].to_pylist()
                _commit(lake, table, _stamp(ledger), rows, replace_dates=dates)
            else:
                gone = f"{staging}/deletes/{table}.parquet"
                _commit(lake, table, _stamp(ledger), rows, gone=lake.read_parquet(gone) if lake.exists(gone) else None)
    _write_ledger(lake, ledger)


@dataclass(frozen=True)
class Amendment:
    """A change to published tables: rows to write, and keys to delete; `dates` are the days to replace."""

    tables: dict[str, pa.Table]
    deletes: dict[str, pa.Table] = field(default_factory=dict)


def amend(lake: Lake, flow: str, make: Callable[[str], Amendment | None]) -> str | None:
    """Publishes outside of a run what a person asked for, and writes it into the ledger; None: nothing to change.

    `make` gets the id under which it is published, and sees the tables as they stand under the lock. Killed on the
    way, the next who publishes finishes it.
    """
    now = dt.datetime.now(dt.UTC)
    ledger = Ledger(new_id(now), flow, now, verdict="passed")
    with publishing(lake, ledger.run_id):
        finish_the_dead(lake)
        base = versions(lake)
        change = make(ledger.run_id)
        if change is None:
            return None
        staging = f"staging/run={ledger.run_id}"
        for table, rows in change.tables.items():
            lake.write_parquet(f"{staging}/tables/{table}.parquet", rows)
        for table, keys in change.deletes.items():
            lake.write_parquet(f"{staging}/deletes/{table}.parquet", keys)
        ledger.save(lake)
        lake.write_json(_ready(ledger.run_id), {"base": base})
        publish_staged(lake, ledger)
    return ledger.run_id


def _ready(run_id: str) -> str:
    return f"staging/run={run_id}/ready.json"


def _waiting(lake: Lake) -> list[str]:
    runs = [name.removeprefix("run=") for name in lake.names("staging") if name.startswith("run=")]
    return [run_id for run_id in runs if lake.exists(_ready(run_id))]


def _finish_dead(lake: Lake, run_id: str) -> bool:
    ledger = Ledger.restore(lake.read_json(f"staging/run={run_id}/run.json"))
    try:
        _check_base(lake, ledger, lake.read_json(_ready(run_id))["base"])
    except PublishConflict:  # others went ahead: what it staged is still in the store, and is staged anew
        _clear(lake, run_id)
        ledger.status, ledger.error = "dead", "it died before it published, and others published first"
        ledger.save(lake)  # `undertone runs` goes on showing it
        return False
    try:
        publish_staged(lake, ledger)
    except LakeError as error:
        raise LakeError(
            f"finishing run {run_id}, which died publishing: {error}; to go on without it, move "
            f"{lake.at(f'staging/run={run_id}')} away"
        ) from error
    return True


def _write_ledger(lake: Lake, ledger: Ledger) -> None:
    """The run's row, which says that all the others are there; then its staging goes."""
    ledger.status, ledger.finished = "done", dt.datetime.now(dt.UTC)
    _commit(lake, "runs", _stamp(ledger), pa.Table.from_pylist([ledger.row()], schema=RUNS))
    _clear(lake, ledger.run_id)


def _clear(lake: Lake, run_id: str) -> None:
    """The mark first: a staging that is half gone must not look as if it waited."""
    lake.remove(_ready(run_id))
    lake.remove(f"staging/run={run_id}")


def _stamp(ledger: Ledger) -> dict[str, str]:
    """What a commit's metadata says of whence it came."""
    return {RUN_ID: ledger.run_id, ATTEMPT: str(ledger.attempt)}


def _check_base(lake: Lake, ledger: Ledger, base: dict[str, int]) -> None:
    """Raises PublishConflict where a table has moved on since it was read, other than by this very publication."""
    for table, version in versions(lake).items():
        if version == base[table]:
            continue
        newest = lake.delta(table)
        commits = newest.history(version - base[table]) if newest is not None else []
        if any(not _stamp(ledger).items() <= commit.items() for commit in commits):
            raise PublishConflict(
                f"{table} went from version {base[table]} to {version} while {ledger.run_id} was staged"
            )


def _commit(
    lake: Lake,
    table: str,
    stamp: dict[str, str],
    rows: pa.Table,
    *,
    gone: pa.Table | None = None,
    replace_dates: list[dt.date] | None = None,
) -> None:
    n_gone = gone.num_rows if gone is not None else 0
    if not rows.num_rows and not n_gone and not replace_dates:
        return
    target = lake.delta(table)
    if target is not None and any(stamp.items() <= commit.items() for commit in target.history(100)):
        return  # this run has been here: a table is published once
    rows = _nullable(rows)
    properties = CommitProperties(custom_metadata=stamp, max_commit_retries=100)
    try:
        with translated(f"publishing {lake.at('analytics', table)}"):
            if target is None:
                uri, options = lake.at("analytics", table), lake.storage_options
                write_deltalake(uri, rows, mode="error", storage_options=options, commit_properties=properties)
            elif replace_dates is not None:
                _replace(target, rows, replace_dates, properties)
            else:
                _merge(target, table, rows, gone, properties)
    except DeltaError as error:
        raise LakeError(f"publishing {lake.at('analytics', table)}: {error}") from error


def _nullable(rows: pa.Table) -> pa.Table:
    """delta-rs 1.6 fails to merge into a widening schema with NOT NULL columns; the audit has looked for nulls."""
    return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))


def _replace(target: DeltaTable, rows: pa.Table, dates: list[dt.date], properties: CommitProperties) -> None:
    days = ", ".join(f"CAST('{date.isoformat()}' AS DATE)" for date in sorted(dates))
    write_deltalake(target, rows, mode="overwrite", predicate=f"date IN ({days})", commit_properties=properties)


def _merge(target: DeltaTable, table: str, rows: pa.Table, gone: pa.Table | None, properties: CommitProperties) -> None:
    """One merge that updates, inserts, and deletes the keys in `gone`."""
    key = TABLE_KEYS[table]
    for column in pa.schema(target.schema().to_arrow()):
        if column.name not in rows.column_names:  # a score of a taxonomy that this model does not have
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    frames = [pl.DataFrame(rows).with_columns(gone_=pl.lit(False))]
    if gone is not None and gone.num_rows:
        frames.append(pl.DataFrame(gone).with_columns(gone_=pl.lit(True)))
    source: Any = pl.concat(frames, how="diagonal").to_arrow()
    columns = {name: f"s.{name}" for name in rows.column_names}
    (
        target.merge(
            source,
            predicate=" AND ".join(f"t.{name} = s.{name}" for name in key),
            source_alias="s",
            target_alias="t",
            merge_schema=True,
            commit_properties=properties,
        )
        .when_matched_delete("s.gone_")
        .when_matched_update(columns)
        .when_not_matched_insert(columns, "NOT s.gone_")
        .execute()
    )
