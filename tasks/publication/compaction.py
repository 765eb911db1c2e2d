"""Compaction of analytics tables: fewer files, no versions but those that readers may still ask for, a short log."""

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import snapshot
from data_contracts.schema.tables import TABLE_KEYS
from tasks.maintenance_report import MaintenanceReport, files_below, total_bytes

_TOMBSTONE_DAYS = 7  # Delta remembers for so long which files a version replaced
_DELTA_TARGET_BYTES = 100 << 20  # delta-rs's own


def existing_tables(lake: Lake) -> Iterator[tuple[str, DeltaTable]]:
    """The analytics tables that were written, by name."""
    for name in TABLE_KEYS:
        delta = lake.delta(name)
        if delta is not None:
            yield name, delta


def compact_table(lake: Lake, table: str, delta: DeltaTable, keep_days: int, *, dry_run: bool) -> MaintenanceReport:
    """Compacts a table, vacuums it, shortens its log. Raises LakeError; the caller holds the publish lock."""
    started, before = time.perf_counter(), _file_sizes(delta)
    try:
        if dry_run:
            after = _estimate_compacted(before)
        else:
            delta.optimize.compact(commit_properties=CommitProperties(custom_metadata={"undertone.flow": "maintain"}))
            after = _file_sizes(delta)["size_bytes"].to_list()
        n_gone, gone_bytes = _vacuum(lake, table, delta, keep_days, dry_run=dry_run)
        if not dry_run:
            _shorten_log(lake, table, delta)
    except DeltaError as error:
        raise LakeError(
            f"maintaining {lake.uri_of('analytics', table)}: {error}; what was done stays, run it again"
        ) from error
    did = [] if len(before) == len(after) else ["would be compacted" if dry_run else "compacted"]
    if n_gone:
        did.append(f"{n_gone} old files{' would be' if dry_run else ''} removed ({gone_bytes / 1e6:,.1f} MB)")
    counts = (len(before), len(after), sum(before["size_bytes"].to_list()), sum(after))
    return MaintenanceReport(
        f"analytics/{table}", ", ".join(did) or "as it was", *counts, time.perf_counter() - started
    )


def _file_sizes(delta: DeltaTable) -> pl.DataFrame:
    """A row a file of the newest version: its bytes, and its partition."""
    files = pl.DataFrame(delta.get_add_actions(flatten=True))
    return files.select("size_bytes", *(name for name in files.columns if name.startswith("partition.")))


def _estimate_compacted(files: pl.DataFrame) -> list[int]:
    """About the sizes that compaction would leave: the small files of a partition become few."""
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
    """Removes the files that no version of the last days needs. Returns how many there are, and their bytes.

    In full: Delta forgets after a week which files it replaced, and would leave those for ever. It names files that are
    gone already, and writes down that it removed them again: so it is asked first.
    """
    how: dict[str, Any] = {
        "retention_hours": keep_days * 24,
        "enforce_retention_duration": False,
        "full": True,
        "keep_versions": _versions_to_keep(lake, table, delta, keep_days),
    }
    folder = f"analytics/{table}"
    held = files_below(lake, folder)
    named = {path.rsplit(f"{folder}/", 1)[-1] for path in delta.vacuum(dry_run=True, **how)}
    gone = {path: held[path] for name in named if (path := f"{folder}/{name}") in held}
    if gone and not dry_run:
        delta.vacuum(dry_run=False, **how)
    return len(gone), total_bytes(gone)


def _versions_to_keep(lake: Lake, table: str, delta: DeltaTable, keep_days: int) -> list[int] | None:
    """Versions that stay whatever their age: the pinned one, and all of those days where Delta remembers fewer."""
    commits = delta.history()
    versions = {int(commit["version"]) for commit in commits}
    kept = set[int]()
    pinned = snapshot(lake).versions.get(table)
    if pinned is not None:
        kept.add(pinned)
    if keep_days > _TOMBSTONE_DAYS:
        since = (dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)).timestamp() * 1000
        young = {int(commit["version"]) for commit in commits if commit["timestamp"] >= since}
        kept |= young | {max(versions - young, default=-1)}  # the last is what was seen when those days began
    return sorted(kept & versions) or None


def _shorten_log(lake: Lake, table: str, delta: DeltaTable) -> None:
    """A checkpoint at the newest version, where there is none; then the commits before it that are past a month go."""
    last = f"analytics/{table}/_delta_log/_last_checkpoint"
    if not lake.exists(last) or lake.read_json(last)["version"] != delta.version():
        delta.create_checkpoint()
    delta.cleanup_metadata()
