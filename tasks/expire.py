"""Retention by age: stagings of runs that came to nothing, reports that nobody opens, features that nobody needs."""

import datetime as dt
import time

from data_contracts import schemas
from data_contracts.lake import Lake
from data_contracts.schemas import RECORDINGS
from features import store
from tasks.stage import stage
from tasks.upkeep import Found, Upkeep, files_below, n_bytes, newest


@stage
def expire_stagings(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> Upkeep:
    """Removes what failed, stopped and dead runs left. Who lives writes there; who is audited waits to be published."""
    started, cutoff = time.perf_counter(), now - dt.timedelta(days=older_than_days)
    gone: dict[str, Found] = {}
    for folder in _runs(lake, "staging"):
        files = files_below(lake, folder)
        if f"{folder}/ready.json" not in files and newest(files) < cutoff:
            gone[folder] = files
    return _removed(lake, "staging", gone, older_than_days, started, dry_run=dry_run)


@stage
def expire_reports(lake: Lake, now: dt.datetime, *, older_than_days: int, dry_run: bool) -> Upkeep:
    """Removes old validation results and Data Docs; the ledger keeps each run's verdict."""
    started, cutoff = time.perf_counter(), now - dt.timedelta(days=older_than_days)
    gone: dict[str, Found] = {}
    for folder in _runs(lake, "validation"):
        if _begun(folder) >= cutoff:
            continue  # by its name: a listing saved
        files = files_below(lake, folder)
        if newest(files) < cutoff:
            gone[folder] = files
    return _removed(lake, "validation", gone, older_than_days, started, dry_run=dry_run)


def unpublished_versions(lake: Lake) -> list[str]:
    """Feature versions in the store of which no published row is made."""
    published = set()
    for table, schema in (("recordings", RECORDINGS), ("utterances", schemas.utterances(()))):
        published |= set(lake.frame(table, schema).select("feature_version").unique().collect()["feature_version"])
    held = {version for feature_set in lake.names("features") for version in store.versions(lake, feature_set)}
    return sorted(held - published)


@stage
def expire_versions(
    lake: Lake, now: dt.datetime, versions: list[str], *, older_than_days: int, drop: bool
) -> list[Upkeep]:
    """Lists feature versions that nothing needs, unless they are new; takes them away only where it is told to.

    `recordings` goes first: without it a version holds no finished shard, whenever the removal dies.
    """
    cutoff = now - dt.timedelta(days=older_than_days)
    sets = sorted(lake.names("features"), key=lambda name: name != "recordings")
    lines = []
    for version in versions:
        started = time.perf_counter()
        folders = [f"features/{feature_set}/version={version}" for feature_set in sets]
        n_files, size, changed = 0, 0, newest({})
        for folder in folders:
            for date in lake.names(folder):
                files = files_below(lake, f"{folder}/{date}")
                n_files, size, changed = n_files + len(files), size + n_bytes(files), max(changed, newest(files))
        is_new = changed >= cutoff
        if drop and not is_new:
            for folder in folders:
                lake.remove(folder)
        kept = (0, 0) if drop and not is_new else (n_files, size)
        did = "in use nowhere yet, new: kept" if is_new else "dropped" if drop else "unused; --drop-versions drops it"
        seconds = time.perf_counter() - started
        lines.append(Upkeep(f"features version {version}", did, n_files, kept[0], size, kept[1], seconds))
    return lines


def _runs(lake: Lake, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in lake.names(folder) if name.startswith("run=")]


def _begun(folder: str) -> dt.datetime:
    """When a run began, by its id; long ago where the id does not say.

    >>> _begun("validation/run=20261122T030000Z-0a1b2c").isoformat()
    '2026-11-22T03:00:00+00:00'
    """
    stamp = folder.rsplit("run=", 1)[-1].partition("-")[0]
    try:
        return dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _removed(
    lake: Lake, what: str, gone: dict[str, Found], older_than_days: int, started: float, *, dry_run: bool
) -> Upkeep:
    if not dry_run:
        for folder in gone:
            lake.remove(folder)
    words = f"{len(gone)} run(s) older than {older_than_days} days {'would be ' if dry_run else ''}removed"
    did = words if gone else f"nothing older than {older_than_days} days"
    n_files, size = sum(map(len, gone.values())), sum(map(n_bytes, gone.values()))
    kept = (n_files, size) if dry_run else (0, 0)
    return Upkeep(what, did, n_files, kept[0], size, kept[1], time.perf_counter() - started)
