"""Names of the files and folders that Undertone writes; those of anybody else in a lake are passed over.

Explorers, synchronisers and backups leave files of their own: `Thumbs.db`, `x (1).parquet`, `x.sync-conflict-….txt`.
"""

import datetime as dt
import re

PACK_PREFIX = "pack-"
_FEATURE_SET = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"version=([0-9A-Za-z]+)")
_DATE = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_SHARD_FILE = re.compile(r"[0-9a-f]+\.parquet")
_PACK = re.compile(rf"{PACK_PREFIX}[0-9a-f]+\.parquet")
_RUN = re.compile(r"run=([\w-]+)", re.ASCII)
_LOCK = re.compile(r"\d{8,}", re.ASCII)
_COMMIT = re.compile(r"(\d{20})\.json", re.ASCII)


def is_feature_set(name: str) -> bool:
    return bool(_FEATURE_SET.fullmatch(name))


def is_pack(name: str) -> bool:
    return bool(_PACK.fullmatch(name))


def is_feature_file(name: str) -> bool:
    """Tell whether a file holds a shard or a pack of them.

    >>> [is_feature_file(name) for name in ("0f3a.parquet", "pack-0f3a.parquet", "0f3a (1).parquet", "Thumbs.db")]
    [True, True, False, False]
    """
    return bool(_SHARD_FILE.fullmatch(name)) or is_pack(name)


def is_feature_path(path: str) -> bool:
    """Tell whether a path below the root is `features/SET/version=…/date=…/FILE`."""
    root, *folders, name = path.split("/")
    if root != "features" or len(folders) != 3 or not is_feature_file(name):
        return False
    return is_feature_set(folders[0]) and version_in(folders[1]) is not None and date_in(folders[2]) is not None


def version_in(folder: str) -> str | None:
    """Return the feature version that a folder's name gives; None where it gives none."""
    found = _VERSION.fullmatch(folder)
    return found[1] if found else None


def date_in(folder: str) -> dt.date | None:
    """Return the date that a folder's name gives; None where it gives none.

    >>> date_in("date=2026-11-21"), date_in("date=2026-11-21 (1)"), date_in("date=2026-99-99")
    (datetime.date(2026, 11, 21), None, None)
    """
    found = _DATE.fullmatch(folder)
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def run_in(folder: str) -> str | None:
    """Return the run's id that a folder's name gives; None where it gives none."""
    found = _RUN.fullmatch(folder)
    return found[1] if found else None


def lock_number(name: str) -> int | None:
    """Return the number of a file of the publish lock; None where it is another's file."""
    return int(name) if _LOCK.fullmatch(name) else None


def commit_version(name: str) -> int | None:
    """Return the Delta version that a file of a log commits; None for its other files."""
    found = _COMMIT.fullmatch(name)
    return int(found[1]) if found else None
