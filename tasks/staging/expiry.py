"""Ages of run folders and their removal, and feature versions without a published row."""

import datetime as dt
import time

from data_contracts.lake import Lake
from data_contracts.schema import tables
from data_contracts.schema.tables import RECORDINGS
from features.store import shard_files
from tasks.maintenance_report import FileStats, MaintenanceReport, total_bytes


def unpublished_versions(lake: Lake) -> list[str]:
    """Return the feature versions in the store that no published row has."""
    published = set()
    for table, schema in (("recordings", RECORDINGS), ("utterances", tables.utterances_schema(()))):
        published |= set(lake.frame(table, schema).select("feature_version").unique().collect()["feature_version"])
    stored = {
        version for feature_set in shard_files.feature_sets(lake) for version in shard_files.versions(lake, feature_set)
    }
    return sorted(stored - published)


def report_folders(lake: Lake) -> list[str]:
    """Return the folders of runs below `validation/`."""
    return [f"validation/{name}" for name in lake.names("validation") if name.startswith("run=")]


def start_time(folder: str) -> dt.datetime:
    """Return the start of a run from its id; `datetime.min` where the id has none.

    >>> start_time("validation/run=20261122T030000Z-0a1b2c").isoformat()
    '2026-11-22T03:00:00+00:00'
    """
    stamp = folder.rsplit("run=", 1)[-1].partition("-")[0]
    try:
        return dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def remove_folders(
    lake: Lake, what: str, expired: dict[str, FileStats], older_than_days: int, started: float, *, dry_run: bool
) -> MaintenanceReport:
    """Remove the `expired` folders, unless it is a dry run, and report their size."""
    if not dry_run:
        for folder in expired:
            lake.remove(folder)
    words = f"{len(expired)} run(s) older than {older_than_days} days {'would be ' if dry_run else ''}removed"
    did = words if expired else f"nothing older than {older_than_days} days"
    n_files, size = sum(map(len, expired.values())), sum(map(total_bytes, expired.values()))
    kept = (n_files, size) if dry_run else (0, 0)
    return MaintenanceReport(what, did, n_files, kept[0], size, kept[1], time.perf_counter() - started)
