"""Retention by age: staging folders of failed runs, validation reports, and unused feature versions."""

import datetime as dt
import time

from data_contracts.lake import Lake
from features.store import shard_files
from tasks.maintenance_report import FileStats, MaintenanceReport, files_below, last_change, total_bytes
from tasks.run import staging_paths as paths
from tasks.stages.stage import stage
from tasks.staging.expiry import remove_folders, report_folders, start_time


@stage
def expire_stagings(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> MaintenanceReport:
    """Remove what failed, stopped and dead runs left. Live runs write there; audited ones wait to be published."""
    started, cutoff = time.perf_counter(), now - dt.timedelta(days=older_than_days)
    expired: dict[str, FileStats] = {}
    for run_id in paths.run_ids(lake):
        files = files_below(lake, folder := paths.folder(run_id))
        if paths.ready(run_id) not in files and last_change(files) < cutoff:
            expired[folder] = files
    return remove_folders(lake, "staging", expired, older_than_days, started, dry_run=dry_run)


@stage
def expire_reports(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> MaintenanceReport:
    """Remove old validation results and Data Docs; the ledger keeps each run's verdict."""
    started, cutoff = time.perf_counter(), now - dt.timedelta(days=older_than_days)
    expired: dict[str, FileStats] = {}
    for folder in report_folders(lake):
        if start_time(folder) >= cutoff:
            continue  # by its name, which saves a listing
        files = files_below(lake, folder)
        if last_change(files) < cutoff:
            expired[folder] = files
    return remove_folders(lake, "validation", expired, older_than_days, started, dry_run=dry_run)


@stage
def expire_versions(
    lake: Lake, now: dt.datetime, versions: list[str], *, older_than_days: int, drop: bool
) -> list[MaintenanceReport]:
    """Report unused feature versions; remove those that are not new where `drop` is set.

    `recordings` goes first: without it a version holds no finished shard, whenever the removal dies.
    """
    cutoff = now - dt.timedelta(days=older_than_days)
    sets = sorted(shard_files.feature_sets(lake), key=lambda name: name != "recordings")
    lines = []
    for version in versions:
        started = time.perf_counter()
        folders = [f"features/{feature_set}/version={version}" for feature_set in sets]
        n_files, size, changed = 0, 0, last_change({})
        for folder in folders:
            for date in lake.names(folder):
                files = files_below(lake, f"{folder}/{date}")
                n_files, size = n_files + len(files), size + total_bytes(files)
                changed = max(changed, last_change(files))
        is_new = changed >= cutoff
        if drop and not is_new:
            for folder in folders:
                lake.remove(folder)
        kept = (0, 0) if drop and not is_new else (n_files, size)
        did = "in use nowhere yet, new: kept" if is_new else "dropped" if drop else "unused; --drop-versions drops it"
        seconds = time.perf_counter() - started
        lines.append(MaintenanceReport(f"features version {version}", did, n_files, kept[0], size, kept[1], seconds))
    return lines
