"""Live runs, with a file newer than a day, and the dates whose features they write."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from data_contracts.lake import Lake
from data_contracts.lake.names import date_in
from tasks.maintenance_report import files_below, last_change
from tasks.run import staging_paths as paths

_MAX_SILENCE = dt.timedelta(days=1)


def live_runs(lake: Lake, now: dt.datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ids of runs that wrote a file within a day, with their ledgers."""
    for run_id in paths.run_ids(lake):
        try:
            ledger = lake.read_json(paths.ledger(run_id))
        except FileNotFoundError:  # published a moment ago
            continue
        if (
            ledger.get("status") == "running"
            and now - last_change(files_below(lake, paths.folder(run_id))) < _MAX_SILENCE
        ):
            yield run_id, ledger


def dates_in_use(lake: Lake, now: dt.datetime) -> set[tuple[str, dt.date]]:
    """Return feature version and date of the live runs' plans: a forced run writes its shards again."""
    return {
        (ledger["feature_version"], date)
        for run_id, ledger in live_runs(lake, now)
        for name in lake.names(paths.plan(run_id))
        if (date := date_in(name)) is not None
    }
