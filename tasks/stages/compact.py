"""Maintenance: many small files become few, and older versions of tables go, so that a year of nights is quickly asked.

Killed at any point it is run again: what is compacted stays so.
"""

import datetime as dt
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions, snapshot
from features.store import shard_files
from features.store.compaction import Tally, compact
from tasks.maintenance_report import MaintenanceReport
from tasks.publication.compaction import compact_table, existing_tables
from tasks.publication.publish import publish_lock
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.stages.stage import stage
from tasks.staging.live_runs import dates_in_use

_N_PARALLEL = 4  # dates that are packed at a time: each holds a pack in memory


@stage
def tidy_tables(lake: Lake, *, keep_versions_days: int, dry_run: bool) -> list[MaintenanceReport]:
    """Compacts every analytics table, removes what only older versions held, and shortens the log.

    Under the publish lock, so that no publication is disturbed; one that died on its way is finished first, for it
    builds upon the versions that it saw. Readers of the versions of the last days, and of the one that is pinned as
    published, go on reading.
    """
    if dry_run:
        return [
            compact_table(lake, name, delta, keep_versions_days, dry_run=True) for name, delta in existing_tables(lake)
        ]
    with publish_lock(lake, "maintain") as held:
        roll_forward_dead_runs(held)
        lines = [
            compact_table(lake, name, delta, keep_versions_days, dry_run=False) for name, delta in existing_tables(lake)
        ]
        run_id = snapshot(lake).run_id
        if run_id is not None:
            move_pointer(
                lake, run_id, newest_versions(lake)
            )  # to the versions of now: they hold what the pinned ones do, in fewer files
    return lines


@stage
def pack_features(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> list[MaintenanceReport]:
    """Packs the small feature files of every date that is older, several dates at a time."""
    sums, busy = defaultdict[str, Tally](Tally), dates_in_use(lake, now)
    last = now.date() - dt.timedelta(days=older_than_days)
    places = [
        (version, date)
        for version in shard_files.versions(lake)
        for date in shard_files.dates(lake, version)
        if date < last and (version, date) not in busy
    ]

    def pack(place: tuple[str, dt.date]) -> dict[str, Tally]:
        try:
            return compact(lake, *place, dry_run=dry_run)
        except FileNotFoundError:  # another maintenance is at it
            return {}

    with ThreadPoolExecutor(_N_PARALLEL, thread_name_prefix="pack") as pool:
        for tallies in pool.map(pack, places):
            for feature_set, tally in tallies.items():
                sums[feature_set] += tally
    return [_report(name, tally, dry_run=dry_run) for name, tally in sorted(sums.items())]


def _report(feature_set: str, tally: Tally, *, dry_run: bool) -> MaintenanceReport:
    few = tally.n_files == tally.n_files_after
    did = "packed already" if few else "would be packed" if dry_run else "packed"
    counts = (tally.n_files, tally.n_files_after, tally.n_bytes, tally.n_bytes_after)
    return MaintenanceReport(f"features/{feature_set}", did, *counts, tally.seconds)
