"""A registry's SQLite file, opened before MLflow does, which would try for minutes."""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from data_contracts.errors import ModelError


def require_database(path: Path) -> None:
    """Make the folder of a new database; raise ModelError where the file cannot be opened, or is no database."""
    found = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        address = f"file:{quote(str(path))}?mode={'rw' if path.exists() else 'rwc'}"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        found = "" if "locked" in str(error) else str(error)  # MLflow waits for the other process, too
    except (sqlite3.DatabaseError, OSError) as error:
        found = getattr(error, "strerror", None) or str(error)
    if found:
        raise ModelError(
            f"expected the database of the model registry in {path}; found that it cannot be opened: {found}; look at "
            "the file and its folder, or name another registry by UNDERTONE_REGISTRY"
        )


@contextlib.contextmanager
def alone_with_new(path: Path) -> Iterator[None]:
    """Keep other processes out while MLflow makes the tables of a new database: two that do leave it broken."""
    if path.exists() and path.stat().st_size and not path.with_suffix(".new").exists():
        yield
        return
    gate = path.with_suffix(".new")
    with gate.open("a") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    gate.unlink(missing_ok=True)
