"""Maintenance of the feature store: small Parquet files of a date become few packs."""

import datetime as dt
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from data_contracts.lake import Lake
from features.store import shard_files
from features.store.compaction import Tally, compact
from tasks.maintenance_report import MaintenanceReport
from tasks.stages.stage import stage
from tasks.staging.live_runs import dates_in_use

_N_PARALLEL = 4  # dates that are packed at a time: each holds a pack in memory


@stage
def pack_features(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> list[MaintenanceReport]:
    """Pack the small feature files of every older date, several dates at a time."""
    sums, in_use = defaultdict[str, Tally](Tally), dates_in_use(lake, now)
    last = now.date() - dt.timedelta(days=older_than_days)
    partitions = [
        (version, date)
        for version in shard_files.versions(lake)
        for date in shard_files.dates(lake, version)
        if date < last and (version, date) not in in_use
    ]

    def pack(partition: tuple[str, dt.date]) -> dict[str, Tally]:
        try:
            return compact(lake, *partition, dry_run=dry_run)
        except FileNotFoundError:  # another maintenance packs it
            return {}

    with ThreadPoolExecutor(_N_PARALLEL, thread_name_prefix="pack") as pool:
        for tallies in pool.map(pack, partitions):
            for feature_set, tally in tallies.items():
                sums[feature_set] += tally
    return [_report(name, tally, dry_run=dry_run) for name, tally in sorted(sums.items())]


def _report(feature_set: str, tally: Tally, *, dry_run: bool) -> MaintenanceReport:
    is_packed = tally.n_files == tally.n_files_after
    did = "packed already" if is_packed else "would be packed" if dry_run else "packed"
    counts = (tally.n_files, tally.n_files_after, tally.n_bytes, tally.n_bytes_after)
    return MaintenanceReport(f"features/{feature_set}", did, *counts, tally.seconds)
