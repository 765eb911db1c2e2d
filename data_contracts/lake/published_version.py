"""Published version of a table, held against its files and against the commits that other tools made after it.

Another tool may compact a table and vacuum it: then the files of the published version are gone, and a later version
says the same. It may change rows: then the published version is read on, until a person accepts the change.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from data_contracts.errors import DamagedFile
from data_contracts.lake.damage import window
from data_contracts.lake.names import date_in
from data_contracts.lake.tables import Tables

OUR_STAMP = "undertone."
_ROWS_STAY = ("OPTIMIZE", "VACUUM", "SET TBLPROPERTIES", "UPGRADE PROTOCOL", "CREATE CHECKPOINT")


@dataclass(frozen=True)
class LostFile:
    """A file below the root that a table needs, what was found instead, and the date of its rows where it has one."""

    path: str
    found: str
    date: dt.date | None = None


@dataclass(frozen=True)
class PublishedVersion:
    """A version with the published rows; None, and what is lost, where no version has them any more."""

    delta: DeltaTable | None
    lost: list[LostFile] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)  # by other tools, of rows or columns, in words


def find_published(lake: Tables, table: str, version: int, sizes: Mapping[str, int] | None = None) -> PublishedVersion:
    """Find a version of a table with the rows of the published one.

    In an object store its files are looked for, by a listing or in `sizes`, where that is given or others committed.
    """
    head = _open(lake, table, None)
    if isinstance(head, LostFile) or head.version() < version:
        head = _open(lake, table, version)  # a later commit is damaged, or this one is gone
    if isinstance(head, LostFile):
        return PublishedVersion(None, [head])
    later = commits_since(head, version)
    others = [entry for entry in later if not is_ours(entry)]
    pinned = head if head.version() == version else _open(lake, table, version)
    if isinstance(pinned, DeltaTable):
        is_checked = lake.is_local or sizes is not None or bool(others)
        lost = lost_files(lake, table, pinned, sizes) if is_checked else []
        if not lost:
            return PublishedVersion(pinned, [], foreign_changes(lake, table, version, head, others))
    else:
        lost = [pinned]
    for entry in reversed(later):
        if not keeps_rows(entry):
            break
        version = int(entry["version"])
    same = _open(lake, table, version) if others else None
    if isinstance(same, DeltaTable) and not lost_files(lake, table, same, sizes):
        return PublishedVersion(same, [], [describe(entry) for entry in others if not keeps_rows(entry)])
    return PublishedVersion(None, lost, [describe(entry) for entry in others if not keeps_rows(entry)])


def commits_since(head: DeltaTable, version: int) -> list[dict[str, Any]]:
    """Return all commits after a version, the newest first."""
    n_later = int(head.version()) - version
    return head.history(n_later) if n_later > 0 else []


def foreign_changes(
    lake: Tables, table: str, version: int, head: DeltaTable, others: list[dict[str, Any]]
) -> list[str]:
    """Describe the commits of others after a version that changed rows or columns; none where they were taken back."""
    changing = [entry for entry in others if not keeps_rows(entry)]
    if not changing:
        return []
    pinned = _open(lake, table, version)
    if isinstance(pinned, DeltaTable) and _files(pinned) == _files(head) and pinned.schema() == head.schema():
        return []
    return [describe(entry) for entry in changing]


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Tell whether Undertone made a commit: its publications and its upkeep stamp theirs."""
    return any(name.startswith(OUR_STAMP) for name in entry)


def keeps_rows(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("operation", "")).startswith(_ROWS_STAY)


def describe(entry: Mapping[str, Any]) -> str:
    """Say in a few words what a commit did, when, and by which tool."""
    when = dt.datetime.fromtimestamp(int(entry.get("timestamp", 0)) / 1000, dt.UTC)
    tool = entry.get("engineInfo") or entry.get("clientVersion") or "an unknown tool"
    return f"version {entry['version']}: {entry.get('operation', 'a commit')}, {when:%Y-%m-%d %H:%M} UTC, by {tool}"


def lost_files(lake: Tables, table: str, delta: DeltaTable, sizes: Mapping[str, int] | None = None) -> list[LostFile]:
    """Return the data files of an opened version that are gone, or are not as long as its log says."""
    folder = f"analytics/{table}"
    if sizes is None and not lake.is_local:
        sizes = lake.sizes(folder)
    lost = []
    for name, n_bytes in _files(delta).items():
        path = f"{folder}/{name}"
        found = _local_size(lake, path) if sizes is None else sizes.get(path)
        if found != n_bytes:
            words = "no such file" if found is None else f"{found:,} bytes, where {n_bytes:,} were written"
            date = next((day for part in path.split("/") if (day := date_in(part)) is not None), None)
            lost.append(LostFile(path, words, date))
    return lost


def lost_dates(lost: Iterable[LostFile]) -> list[dt.date] | None:
    """Return the dates of lost rows; None where some are not known: then all dates have to be published again."""
    dates = {file.date for file in lost}
    return None if None in dates else sorted(date for date in dates if date is not None)


def restore_command(lost: Iterable[LostFile]) -> str:
    """Return the command that publishes lost rows again."""
    return f"`undertone backfill{window(lost_dates(lost) or [])} --stage score --force`"


def _files(delta: DeltaTable) -> dict[str, int]:
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    if actions.is_empty():
        return {}
    return {unquote(path): size for path, size in zip(actions["path"], actions["size_bytes"], strict=True)}


def _local_size(lake: Tables, path: str) -> int | None:
    try:
        return Path(lake.path, path).stat().st_size
    except OSError:
        return None


def _open(lake: Tables, table: str, version: int | None) -> DeltaTable | LostFile:
    folder = f"analytics/{table}"
    try:
        found = lake.delta(table, version)
    except DamagedFile as error:
        return LostFile(f"{folder}/_delta_log", str(error).partition("; found ")[2].rpartition("; ")[0])
    return LostFile(folder, "no such table") if found is None else found
