"""Roll-forward of publications that died between two tables, by the next holder of the lock.

`ready.json` exists only while its run holds the lock: a run that holds the lock and finds one finds a dead run's.
"""

from typing import Any

from data_contracts.errors import LakeError, PublishConflict
from data_contracts.lake import Lake
from tasks.publication.lock import HeldLock
from tasks.publication.publish import check_base, clear_staging, publish_staged
from tasks.run import staging_paths as paths
from tasks.run.ledger import Ledger


def roll_forward_dead_runs(lock: HeldLock, *, except_run: str = "") -> list[str]:
    """Finish the publications that dead runs had begun. Returns their ids.

    The caller holds the lock, under which nothing may stay half published; its own run, tried again after a transient
    error, is left out as `except_run`.
    """
    return [
        run_id for run_id in half_published_runs(lock.lake) if run_id != except_run and _roll_forward_run(lock, run_id)
    ]


def half_published_runs(lake: Lake) -> list[str]:
    """Return the runs whose publication has begun and not ended."""
    return [run_id for run_id in paths.run_ids(lake) if lake.exists(paths.ready(run_id))]


def _roll_forward_run(lock: HeldLock, run_id: str) -> bool:
    lake = lock.lake
    ledger = Ledger.restore(lake.read_json(paths.ledger(run_id)))
    ready: dict[str, Any] = lake.read_json(paths.ready(run_id))
    try:
        check_base(lake, ledger, ready["base"])
    except PublishConflict:  # others went ahead: its recordings are still in the store, and are staged again
        clear_staging(lake, run_id)
        ledger.status, ledger.error = "dead", "it died before it published, and others published first"
        ledger.save(lake)  # `undertone runs` goes on showing it
        return False
    try:
        publish_staged(lock, ledger, ready["base"], is_last=ready.get("is_last", True))
    except LakeError as error:
        raise LakeError(
            f"finishing run {run_id}, which died publishing: {error}; to go on without it, move "
            f"{lake.uri_of(paths.folder(run_id))} away"
        ) from error
    return True
