"""Maintenance of analytics tables: compaction and removal of old versions, so that a year of nights is fast to query.

After a kill at any point it is simply run again: what is compacted stays so.
"""

from collections.abc import Mapping, Sequence

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions, snapshot
from tasks.maintenance_report import MaintenanceReport
from tasks.publication.compaction import compact_table, existing_tables
from tasks.publication.foreign_changes import find_changes
from tasks.publication.publish import publish_lock
from tasks.publication.recovery import require_restored
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.stages.stage import stage


@stage
def tidy_tables(
    lake: Lake, *, keep_versions_days: int, dry_run: bool, accept_changes: bool = False
) -> list[MaintenanceReport]:
    """Compact every analytics table, remove files that only older versions use, and shorten the log.

    It holds the publish lock, so that no publication is disturbed; a publication that died is finished first, because
    it builds upon the versions that it saw. Versions of the last days, and the published one, stay readable. What other
    tools changed since the last publication is published with `accept_changes`; it raises LakeError otherwise.
    """
    if dry_run:
        return [
            compact_table(lake, name, delta, keep_versions_days, dry_run=True) for name, delta in existing_tables(lake)
        ]
    with publish_lock(lake, "maintain", accept_changes=accept_changes) as lock:
        require_restored(lake)
        changes = find_changes(lake)
        roll_forward_dead_runs(lock)
        lines = [
            compact_table(lake, name, delta, keep_versions_days, dry_run=False) for name, delta in existing_tables(lake)
        ]
        run_id = snapshot(lake).run_id
        if run_id is not None:
            move_pointer(lake, run_id, newest_versions(lake))  # the same rows as the pinned versions, in fewer files
    return [*(MaintenanceReport(f"analytics/{table}", f"accepted {words}") for table, words in _flat(changes)), *lines]


def _flat(changes: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(table, words) for table, found in changes.items() for words in found]
