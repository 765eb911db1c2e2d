"""Maintenance of analytics tables: compaction and removal of old versions, so that a year of nights is fast to query.

After a kill at any point it is simply run again: what is compacted stays so.
"""

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions, snapshot
from tasks.maintenance_report import MaintenanceReport
from tasks.publication.compaction import compact_table, existing_tables
from tasks.publication.publish import publish_lock
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.stages.stage import stage


@stage
def tidy_tables(lake: Lake, *, keep_versions_days: int, dry_run: bool) -> list[MaintenanceReport]:
    """Compact every analytics table, remove files that only older versions use, and shorten the log.

    It holds the publish lock, so that no publication is disturbed; a publication that died is finished first, because
    it builds upon the versions that it saw. Versions of the last days, and the published one, stay readable.
    """
    if dry_run:
        return [
            compact_table(lake, name, delta, keep_versions_days, dry_run=True) for name, delta in existing_tables(lake)
        ]
    with publish_lock(lake, "maintain") as lock:
        roll_forward_dead_runs(lock)
        lines = [
            compact_table(lake, name, delta, keep_versions_days, dry_run=False) for name, delta in existing_tables(lake)
        ]
        run_id = snapshot(lake).run_id
        if run_id is not None:
            move_pointer(lake, run_id, newest_versions(lake))  # the same rows as the pinned versions, in fewer files
    return lines
