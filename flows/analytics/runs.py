"""History of runs: the published ledger, and runs that never published, from their staging."""

from typing import Any

import polars as pl
import pyarrow as pa

from data_contracts.errors import DamagedFile, LakeError, UsageError
from data_contracts.lake import Lake
from data_contracts.schema.tables import RUNS
from flows.analytics.sql import query
from tasks.run import staging_paths as paths
from tasks.run.heartbeat import liveness
from tasks.run.ledger import Ledger

HISTORY = pa.schema([*RUNS, pa.field("stage", pa.string()), pa.field("error", pa.string())])
"""The ledger's columns; of a run that published nothing also its current or last stage, and its error."""


def recent_runs(lake: Lake, limit: int) -> pa.Table:
    """Return the newest `limit` runs, every column. A run with status `dead` was killed: run the same command again."""
    published = query(lake, f"SELECT * FROM runs ORDER BY started DESC LIMIT {limit:d}").to_pylist()
    rows = {row["run_id"]: row for row in published}
    rows |= {row["run_id"]: row for row in _unpublished(lake) if not _is_final(rows.get(row["run_id"]))}
    newest = sorted(rows.values(), key=lambda row: str(row["run_id"]), reverse=True)[:limit]
    return pa.Table.from_pylist(newest, schema=HISTORY) if newest else HISTORY.empty_table()


def dead_runs(lake: Lake) -> list[dict[str, Any]]:
    """Return the rows of runs that were killed and that no Prefect worker watches; call it after `roll_forward`."""
    return [row for ledger, row in _unpublished_ledgers(lake) if row["status"] == "dead" and not ledger.is_watched]


def find_run(lake: Lake, run_id: str | None) -> dict[str, Any]:
    """Return the row of a run, or of the newest. Raises UsageError where there is none."""
    if run_id is None:
        newest = recent_runs(lake, 1).to_pylist()
        if not newest:
            raise UsageError("expected a run; found none yet: `undertone nightly` or `undertone backfill` makes one")
        return dict(newest[0])
    rows = {row["run_id"]: row for row in _unpublished(lake)}
    runs = lake.frame("runs", RUNS).filter(pl.col("run_id") == run_id).collect()
    rows |= {row["run_id"]: {**row, "stage": None, "error": None} for row in runs.to_dicts() if _is_final(row)}
    if run_id not in rows:
        raise UsageError(
            f"expected a run; found {run_id!r}, which the ledger does not know: `undertone runs` lists them"
        )
    return rows[run_id]


def ledger_row(ledger: Ledger) -> dict[str, Any]:
    """Return the run's row as its ledger has it, in the columns of `HISTORY`."""
    is_over = ledger.status == "done"
    return {**ledger.row(), "stage": None if is_over else ledger.stage or None, "error": ledger.error}


def terminal_columns(runs: pa.Table) -> pa.Table:
    """Return the columns that fit a terminal."""
    rows = [
        {
            "run": row["run_id"],
            "flow": row["flow"],
            "status": f"{row['status']} in {row['stage']}" if row["stage"] else row["status"],
            "from": row["window_from"],
            "to": row["window_to"],
            "read": row["n_read"],
            "rejected": row["n_rejected"],
            "utterances": row["n_published_utterances"],
            "hours": round(row["audio_hours"], 3),
            "x real time": None if row["rtfx"] is None else round(row["rtfx"]),
            "verdict": row["verdict"].replace("_", " "),
        }
        for row in runs.to_pylist()
    ]
    return pa.Table.from_pylist(rows)


def _is_final(row: dict[str, Any] | None) -> bool:
    """Return whether the published row is final. While a run publishes date by date, its staging says more."""
    return row is not None and row["status"] != "running"


def _unpublished(lake: Lake) -> list[dict[str, Any]]:
    return [row for _, row in _unpublished_ledgers(lake)]


def _unpublished_ledgers(lake: Lake) -> list[tuple[Ledger, dict[str, Any]]]:
    """Return ledger and row of each run with files in staging. Raises LakeError for an unreadable ledger."""
    ledgers = []
    for path in map(paths.ledger, paths.run_ids(lake)):
        try:
            ledger = Ledger.restore(lake.read_json(path))
            ledgers.append((ledger, _row(lake, ledger)))
        except FileNotFoundError:  # published this moment, or left by a run that ended during its clean-up
            continue
        except (DamagedFile, KeyError, TypeError) as error:
            raise LakeError(
                f"expected a run's ledger in {lake.uri_of(path)}, and its sign of life beside it, found something else "
                f"({error!r}): remove that folder"
            ) from error
    return ledgers


def _row(lake: Lake, ledger: Ledger) -> dict[str, Any]:
    row = ledger_row(ledger)
    if ledger.status != "running":
        return row
    sign = liveness(lake, ledger)
    row |= {"stage": sign.stage or None, "finished": None, "rtfx": None}
    if not sign.is_dead:
        return row
    words = "its process is gone, or gave no sign of life for three minutes; run the same command again"
    return row | {"status": "dead", "error": words}
