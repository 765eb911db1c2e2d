"""Compaction of analytics tables: few files, a short log, and only the versions that readers may still ask for."""

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from data_contracts.errors import DamagedFile, LakeError
from data_contracts.lake import Lake
from data_contracts.lake.published_version import OUR_STAMP
from data_contracts.lake.snapshot import snapshot
from data_contracts.schema.tables import TABLE_KEYS
from tasks.maintenance_report import MaintenanceReport, files_below, total_bytes

STAMP = {f"{OUR_STAMP}flow": "maintain"}
_TOMBSTONE_DAYS = 7  # for so long Delta remembers the files that a version replaced
_DELTA_TARGET_BYTES = 100 << 20  # delta-rs's own


def existing_tables(lake: Lake) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the analytics tables that exist, with their names."""
    for name in TABLE_KEYS:
        delta = lake.delta(name)
        if delta is not None:
            yield name, delta


def compact_table(lake: Lake, table: str, delta: DeltaTable, keep_days: int, *, dry_run: bool) -> MaintenanceReport:
    """Compact a table, vacuum it, shorten its log. Raises LakeError; the caller holds the publish lock."""
    started, before = time.perf_counter(), _file_sizes(delta)
    try:
        if dry_run:
            after = _estimate_compacted(before)
        else:
            delta.optimize.compact(commit_properties=CommitProperties(custom_metadata=STAMP))
            after = _file_sizes(delta)["size_bytes"].to_list()
        n_removed, removed_bytes = _vacuum(lake, table, delta, keep_days, dry_run=dry_run)
        if not dry_run:
            _shorten_log(lake, table, delta)
    except DeltaError as error:
        raise LakeError(
            f"maintaining {lake.uri_of('analytics', table)}: {error}; what was done stays, run it again"
        ) from error
    did = [] if len(before) == len(after) else ["would be compacted" if dry_run else "compacted"]
    if n_removed:
        did.append(f"{n_removed} old files{' would be' if dry_run else ''} removed ({removed_bytes / 1e6:,.1f} MB)")
    counts = (len(before), len(after), sum(before["size_bytes"].to_list()), sum(after))
    return MaintenanceReport(
        f"analytics/{table}", ", ".join(did) or "as it was", *counts, time.perf_counter() - started
    )


def _file_sizes(delta: DeltaTable) -> pl.DataFrame:
    """The bytes and the partition of each file of the newest version."""
    files = pl.DataFrame(delta.get_add_actions(flatten=True))
    return files.select("size_bytes", *(name for name in files.columns if name.startswith("partition.")))


def _estimate_compacted(files: pl.DataFrame) -> list[int]:
    """Estimate the file sizes after compaction: the small files of a partition become few."""
    parts = [name for name in files.columns if name != "size_bytes"]
    after: list[int] = []
    groups = files.partition_by(parts) if parts else [files]
    for group in groups:
        small = group.filter(pl.col("size_bytes") < _DELTA_TARGET_BYTES)["size_bytes"]
        after += group.filter(pl.col("size_bytes") >= _DELTA_TARGET_BYTES)["size_bytes"].to_list()
        n = -(-int(small.sum()) // _DELTA_TARGET_BYTES)
        after += [int(small.sum()) // n] * n if n else []
    return after


def _vacuum(lake: Lake, table: str, delta: DeltaTable, keep_days: int, *, dry_run: bool) -> tuple[int, int]:
    """Remove the files that no version of the last days needs. Returns their number and bytes.

    The vacuum is full: Delta forgets after a week which files it replaced, and would leave those for ever. It also
    names files that were removed before, and would log their removal again: so a dry run asks first.
    """
    options: dict[str, Any] = {
        "retention_hours": keep_days * 24,
        "enforce_retention_duration": False,
        "full": True,
        "keep_versions": _versions_to_keep(lake, table, delta, keep_days),
    }
    folder = f"analytics/{table}"
    existing = files_below(lake, folder)
    names = {path.rsplit(f"{folder}/", 1)[-1] for path in delta.vacuum(dry_run=True, **options)}
    removed = {path: existing[path] for name in names if (path := f"{folder}/{name}") in existing}
    if removed and not dry_run:
        delta.vacuum(dry_run=False, commit_properties=CommitProperties(custom_metadata=STAMP), **options)
    return len(removed), total_bytes(removed)


def _versions_to_keep(lake: Lake, table: str, delta: DeltaTable, keep_days: int) -> list[int] | None:
    """Versions to keep whatever their age: the pinned one, and all of the last days where Delta remembers fewer."""
    commits = delta.history()
    versions = {int(commit["version"]) for commit in commits}
    kept = set[int]()
    pinned = snapshot(lake).versions.get(table)
    if pinned is not None:
        kept.add(pinned)
    if keep_days > _TOMBSTONE_DAYS:
        since = (dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)).timestamp() * 1000
        young = {int(commit["version"]) for commit in commits if commit["timestamp"] >= since}
        kept |= young | {max(versions - young, default=-1)}  # the last was current when those days began
    return sorted(kept & versions) or None


def _shorten_log(lake: Lake, table: str, delta: DeltaTable) -> None:
    """Write a checkpoint at the newest version where there is none; remove the commits before it older than a month."""
    try:
        last = lake.read_json(f"analytics/{table}/_delta_log/_last_checkpoint")["version"]
    except (FileNotFoundError, DamagedFile):
        last = None
    if last != delta.version():
        delta.create_checkpoint()
    delta.cleanup_metadata()
