"""The runs at a glance: the published ledger, and those that never published, from staging."""

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schemas import RUNS
from flows.query import query
from tasks.run import Ledger

_COLUMNS = (
    "run_id", "flow", "status", "window_from", "window_to", "n_listed", "n_read", "n_rejected",
    "n_published_utterances", "audio_hours", "rtfx", "verdict",
)  # fmt: skip


def recent(lake: Lake, limit: int) -> pa.Table:
    """The newest `limit` runs. One that is `running` may also have been killed: running again resumes it."""
    published = query(lake, f"SELECT * FROM runs ORDER BY started DESC LIMIT {limit:d}").to_pylist()
    rows = {row["run_id"]: row for row in [*_unpublished(lake), *published]}
    newest = sorted(rows.values(), key=lambda row: str(row["run_id"]), reverse=True)[:limit]
    table = pa.Table.from_pylist(newest, schema=RUNS) if newest else RUNS.empty_table()
    return table.select(list(_COLUMNS))


def _unpublished(lake: Lake) -> list[dict[str, object]]:
    rows = []
    for folder in lake.names("staging"):
        path = f"staging/{folder}/run.json"
        if folder.startswith("run=") and lake.exists(path):
            rows.append(Ledger.restore(lake.read_json(path)).row())
    return rows
