"""Runs that gave a sign of life within a day, and the dates whose features they write."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from data_contracts.lake import Lake
from tasks.maintenance_report import files_below, last_change
from tasks.run import staging_paths as paths

_ALIVE = dt.timedelta(days=1)


def live_runs(lake: Lake, now: dt.datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ids of runs that gave a sign of life within a day, with their ledgers."""
    for run_id in paths.run_ids(lake):
        try:
            ledger = lake.read_json(paths.ledger(run_id))
        except FileNotFoundError:  # it was published this moment
            continue
        if ledger.get("status") == "running" and now - last_change(files_below(lake, paths.folder(run_id))) < _ALIVE:
            yield run_id, ledger


def dates_in_use(lake: Lake, now: dt.datetime) -> set[tuple[str, dt.date]]:
    """Feature version and date of what runs have planned: a forced one writes its shards again."""
    return {
        (ledger["feature_version"], dt.date.fromisoformat(name.removeprefix("date=")))
        for run_id, ledger in live_runs(lake, now)
        for name in lake.names(paths.plan(run_id))
    }
