"""The runs at a glance: the published ledger, and those that never published, from staging."""

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schemas import RUNS
from flows.query import query
from tasks.ledger import Ledger


def recent(lake: Lake, limit: int) -> pa.Table:
    """The newest `limit` runs, every column. One that is `running` may have been killed: running again resumes it."""
    published = query(lake, f"SELECT * FROM runs ORDER BY started DESC LIMIT {limit:d}").to_pylist()
    rows = {row["run_id"]: row for row in [*_unpublished(lake), *published]}
    newest = sorted(rows.values(), key=lambda row: str(row["run_id"]), reverse=True)[:limit]
    return pa.Table.from_pylist(newest, schema=RUNS) if newest else RUNS.empty_table()


def at_a_glance(runs: pa.Table) -> pa.Table:
    """The columns that fit a terminal."""
    rows = [
        {
            "run": row["run_id"],
            "flow": row["flow"],
            "status": row["status"],
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


def _unpublished(lake: Lake) -> list[dict[str, object]]:
    rows = []
    for folder in lake.names("staging"):
        path = f"staging/{folder}/run.json"
        if folder.startswith("run=") and lake.exists(path):
            rows.append(Ledger.restore(lake.read_json(path)).row())
    return rows
