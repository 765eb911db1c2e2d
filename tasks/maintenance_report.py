"""Lines of the maintenance report, file sizes and ages, and the store's clock by which they are judged."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import LakeError
from data_contracts.lake import Lake

_MAX_SKEW = dt.timedelta(hours=1)

FileStats = dict[str, tuple[int, dt.datetime]]
"""Bytes and last change of files, by path below the root."""


@dataclass
class MaintenanceReport:
    """A line of the table that `undertone maintain` prints; its `seconds` of work may overlap with other lines'."""

    what: str
    did: str
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    seconds: float = 0.0


def store_time(lake: Lake) -> dt.datetime:
    """Return the store's time: a machine whose clock is wrong would remove new files as old ones.

    Raises LakeError where this machine's clock differs by more than an hour: Delta judges its files by that one.
    """
    probe = f"staging/clock-{uuid.uuid4().hex}"
    lake.write(probe, b"")
    now: dt.datetime = lake.retry_policy.call(
        f"looking at {lake.uri_of(probe)}", lambda: lake.fs.modified(f"{lake.path}/{probe}").astimezone(dt.UTC)
    )
    lake.remove(probe)
    own = dt.datetime.now(dt.UTC)
    if abs(now - own) > _MAX_SKEW:
        raise LakeError(
            f"expected this machine's clock to agree with the store's within an hour; here it is {own:%Y-%m-%d %H:%M} "
            f"UTC, there {now:%Y-%m-%d %H:%M}; nothing was removed: set the clock and run again"
        )
    return now


def files_below(lake: Lake, folder: str) -> FileStats:
    """Return all files in a folder and in those below it."""
    try:
        infos = lake.retry_policy.call(
            f"listing {lake.uri_of(folder)}", lambda: lake.fs.find(f"{lake.path}/{folder}", detail=True)
        )
    except FileNotFoundError:
        return {}
    return {name.removeprefix(f"{lake.path}/"): (int(info["size"]), _last_change(info)) for name, info in infos.items()}


def _last_change(info: Mapping[str, Any]) -> dt.datetime:
    """The last change, under the name that S3, Azure, Google Cloud and local folders give it."""
    value = next(info[name] for name in ("LastModified", "last_modified", "mtime", "updated") if info.get(name))
    if isinstance(value, float | int):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


def last_change(files: FileStats) -> dt.datetime:
    """Return the newest change among the files; `datetime.min` where there is none."""
    return max((changed for _, changed in files.values()), default=dt.datetime.min.replace(tzinfo=dt.UTC))


def total_bytes(files: FileStats) -> int:
    return sum(size for size, _ in files.values())
