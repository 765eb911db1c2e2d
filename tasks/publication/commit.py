"""Idempotent commit of a staged table into Delta, stamped with the run's id."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from data_contracts.errors import LakeError, TransientError, UndertoneError
from data_contracts.lake import Lake
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.schema import tables
from data_contracts.schema.tables import PARTITIONED_TABLES, TABLE_KEYS, utterances_schema

_DIMENSIONS = ("arousal", "valence", "dominance")
RUN_ID, ATTEMPT = "undertone.run_id", "undertone.attempt"
_MAINTENANCE = ("OPTIMIZE", "VACUUM")  # they change no row
_MAX_NAMED_DATES = 400  # more are given as a range


@dataclass(frozen=True)
class Change:
    """Rows to write into a table, keys to delete from it, and the dates of both."""

    table: str
    rows: pa.Table
    deletes: pa.Table | None = None
    dates: list[dt.date] | None = None  # of the rows, before and after; None: any
    replace: bool = False  # replace all rows of `dates` by these


def commit(lake: Lake, change: Change, stamp: dict[str, str], *, since: int | None = None) -> None:
    """Write the change, unless the table's history since version `since` shows that it was written.

    delta-rs keeps no application transactions: the stamp in the commit stands for one. Raises LakeError, or
    TransientError where trying again may help.
    """
    n_deletes = change.deletes.num_rows if change.deletes is not None else 0
    if not change.rows.num_rows and not n_deletes and not (change.replace and change.dates):
        return
    target = lake.delta(change.table)
    if target is not None and is_stamped(target, stamp, since):
        return
    try:
        with translate_errors(doing := f"publishing {lake.uri_of('analytics', change.table)}"):
            _write(lake, target, change, CommitProperties(custom_metadata=stamp, max_commit_retries=100))
    except (DeltaError, UndertoneError) as error:
        newest = lake.delta(change.table)
        if newest is not None and is_stamped(newest, stamp, since):
            return  # it was written, only the answer was lost
        if isinstance(error, UndertoneError):
            raise
        kind = TransientError if isinstance(error, CommitFailedError) else LakeError
        raise kind(f"{doing}: {error}") from error


def is_stamped(target: DeltaTable, stamp: dict[str, str], since: int | None) -> bool:
    """Return whether a commit with this stamp is in the table's history after version `since`."""
    return any(stamp.items() <= entry.items() for entry in commits(target, since))


def commits(target: DeltaTable, since: int | None) -> list[dict[str, Any]]:
    """Return the commits after version `since` (None: the last hundred) that changed rows, the newest first."""
    limit = 100 if since is None else int(target.version()) - since
    found = target.history(limit) if limit > 0 else []
    return [entry for entry in found if not str(entry.get("operation", "")).startswith(_MAINTENANCE)]


def _write(lake: Lake, target: DeltaTable | None, change: Change, properties: CommitProperties) -> None:
    rows = _nullable(change.rows)
    if target is None:
        write_deltalake(
            lake.uri_of("analytics", change.table),
            rows,
            mode="error",
            partition_by=["date"] if change.table in PARTITIONED_TABLES else None,
            storage_options=lake.storage_options,
            commit_properties=properties,
        )
    elif change.replace:
        where = f"date IN ({', '.join(_date_literals(change.dates or []))})"  # a range would take other dates with it
        write_deltalake(
            target, rows, mode="overwrite", predicate=where, schema_mode="merge", commit_properties=properties
        )
    else:
        _merge(target, change, rows, properties)


def _nullable(rows: pa.Table) -> pa.Table:
    """delta-rs 1.6 fails to merge into a widening schema with NOT NULL columns; the audit has checked for nulls."""
    return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))


def _dates_predicate(dates: list[dt.date], column: str) -> str:
    """A predicate on partitions, so that delta-rs opens no file of another date."""
    days = _date_literals(dates)
    if len(days) > _MAX_NAMED_DATES:
        return f"{column} >= {days[0]} AND {column} <= {days[-1]}"
    return f"{column} IN ({', '.join(days)})"


def _date_literals(dates: list[dt.date]) -> list[str]:
    return [f"CAST('{date.isoformat()}' AS DATE)" for date in sorted(set(dates))]


def _is_ours(table: str, column: str) -> bool:
    """Tell whether Undertone writes a column: the table's, or a score of a taxonomy that this model does not have."""
    if table == "utterances":
        return column.startswith("score_") or column in utterances_schema((), _DIMENSIONS).names
    return column in getattr(tables, table.upper()).names


def _merge(target: DeltaTable, change: Change, rows: pa.Table, properties: CommitProperties) -> None:
    """Update, insert, and delete the keys in `deletes`, in one merge.

    Our columns that the rows lack become null; a column that another tool added keeps its values.
    """
    for column in pa.schema(target.schema().to_arrow()):
        if column.name not in rows.column_names and _is_ours(change.table, column.name):
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    frames = [pl.DataFrame(rows).with_columns(gone_=pl.lit(False))]
    if change.deletes is not None and change.deletes.num_rows:
        frames.append(pl.DataFrame(change.deletes).with_columns(gone_=pl.lit(True)))
    source: Any = pl.concat(frames, how="diagonal").to_arrow()
    columns = {name: f"s.{name}" for name in rows.column_names}
    where = [_dates_predicate(change.dates, "t.date")] if change.dates else []
    (
        target.merge(
            source,
            predicate=" AND ".join([*where, *(f"t.{name} = s.{name}" for name in TABLE_KEYS[change.table])]),
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
