"""`undertone doctor --lake-check`: all that pointer, Delta logs, packs and shards claim, held against what is there.

Every file is listed, and the footer of each Parquet file is read; no other byte is. Nothing is changed.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from data_contracts.errors import DamagedFile, LakeError
from data_contracts.lake import Lake
from data_contracts.lake.damage import repair_command
from data_contracts.lake.names import is_feature_path
from data_contracts.lake.pack_index import parquet_footer
from data_contracts.lake.pointer import LOST, read_pointer
from data_contracts.lake.published_version import find_published, restore_command
from data_contracts.schema.tables import RECORDINGS
from features.store import shard_files
from features.store.completeness import find_damage_on
from flows.analytics.runs import recent_runs
from flows.cli.doctor import Finding
from flows.settings import Settings
from tasks.publication.foreign_changes import find_changes
from tasks.publication.recovery import find_losses
from tasks.publication.roll_forward import half_published_runs

_N_THREADS = 16


def check_lake(flags: Mapping[str, Any]) -> list[Finding]:
    """Return a finding for each thing that is lost or was changed by others, and one for each part that is whole."""
    lake = Settings.load(**flags).open_lake()
    findings = []
    for what, check in {"tables": _check_tables, "features": _check_features, "runs": _check_runs}.items():
        try:
            findings += list(check(lake))
        except LakeError as error:
            findings.append(Finding(what, "missing", str(error)))
    return findings


def _check_tables(lake: Lake) -> Iterator[Finding]:
    pointer = read_pointer(lake)
    if pointer is None:
        yield Finding(
            "tables", "note", f"{lake.uri_of('analytics')} has no pointer: nothing was published, or it is gone"
        )
        return
    losses, n_files = find_losses(lake), 0
    for lost in losses.values():
        for file in lost:
            words = f"{file.path}: {file.found}; {restore_command([file])} publishes these rows again"
            yield Finding("tables", "missing", words)
    for table, changes in find_changes(lake).items():
        yield Finding("tables", "missing", f"{table} was changed by another tool: {', '.join(changes)}")
    for table, version in pointer.versions.items():
        delta = find_published(lake, table, version).delta if version != LOST and table not in losses else None
        if delta is not None:
            files = pl.DataFrame(delta.get_add_actions(flatten=True))
            sizes = {f"analytics/{table}/{path}": size for path, size in files.select("path", "size_bytes").iter_rows()}
            n_files += len(sizes)
            yield from _unreadable(lake, "tables", sizes)
    if "runs" not in losses and lake.scan("runs").filter(pl.col("run_id") == pointer.run_id).collect().is_empty():
        yield Finding("tables", "missing", f"the pointer names run {pointer.run_id}, which the ledger does not know")
    yield Finding("tables", "ok", f"{n_files:,} files of {len(pointer.versions) - len(losses)} tables were looked at")


def _check_features(lake: Lake) -> Iterator[Finding]:
    sizes = {path: size for path, size in lake.sizes("features").items() if is_feature_path(path)}
    yield from _unreadable(lake, "features", sizes)
    versions = set(shard_files.versions(lake))
    rows = lake.frame("recordings", RECORDINGS).select("feature_version", "date").unique().collect().sort("date")
    published = {version: set(own["date"]) for (version,), own in rows.group_by("feature_version")}
    for version in sorted(versions | published.keys()):
        dates = shard_files.dates(lake, version)
        damaged = find_damage_on(lake, version, dates)
        for damage in damaged.values():
            for path in sorted({path for paths in damage.missing.values() for path in paths} - set(damage.unreadable)):
                yield Finding("features", "missing", f"{path}: no such file; {repair_command(path)}")
        for date in sorted(published.get(version, set()) - set(dates)):
            path = shard_files.folder("recordings", version, date)
            yield Finding("features", "missing", f"{path}: nothing, where rows are published; {repair_command(path)}")
    yield Finding("features", "ok", f"{len(sizes):,} files of {len(versions)} versions were looked at")


def _check_runs(lake: Lake) -> Iterator[Finding]:
    for run_id in half_published_runs(lake):
        yield Finding("runs", "note", f"{run_id} died while it published: the next run finishes that")
    yield Finding("runs", "ok", f"{recent_runs(lake, 1000).num_rows:,} in the ledger and in staging")


def _unreadable(lake: Lake, what: str, sizes: Mapping[str, int]) -> Iterator[Finding]:
    """A finding for each file without a readable footer."""

    def look(item: tuple[str, int]) -> str:
        path, n_bytes = item
        try:
            parquet_footer(lake, path, n_bytes)
        except FileNotFoundError:
            return f"{path}: no such file; {repair_command(path)}"
        except DamagedFile as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="footer") as pool:
        for words in filter(None, pool.map(look, sizes.items())):
            yield Finding(what, "missing", words)
