"""Errors about files of a lake that are gone, or are not what was written, with the command that brings each back."""

import contextlib
import datetime as dt
from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from data_contracts.errors import DamagedFile
from data_contracts.lake.names import date_in, run_in

MIN_PARQUET_BYTES = 12
_MAGIC = b"PAR1"


def repair_command(path: str) -> str:
    """Return what to do about a damaged file, from its path below the root.

    >>> repair_command("features/segments/version=9c/date=2026-11-21/0f.parquet")
    '`undertone backfill --from 2026-11-21 --to 2026-11-21 --force` reads these recordings again'
    """
    folders = path.split("/")
    days = [date for date in map(date_in, folders) if date is not None]
    if folders[0] == "features":
        return f"`undertone backfill{window(days)} --force` reads these recordings again"
    if folders[0] == "analytics" and len(folders) > 2:
        return (
            f"`undertone backfill{window(days)} --stage score --force` publishes these rows again from stored features"
        )
    if path == "analytics/published.json":
        return "remove it and run `undertone backfill`, which writes it anew from the newest versions of the tables"
    if folders[0] == "staging" and len(folders) > 2 and run_in(folders[1]):
        return f"run the same command again; if this stays, remove staging/{folders[1]}: nothing published is there"
    return "bring it back from a copy"


def window(days: list[dt.date]) -> str:
    """Return the flags of a backfill over these days, or over all.

    >>> window([dt.date(2026, 11, 21), dt.date(2026, 11, 19)]), window([])
    (' --from 2026-11-19 --to 2026-11-21', '')
    """
    return f" --from {min(days)} --to {max(days)}" if days else ""


def missing_file(uri: str, path: str, expected: str) -> DamagedFile:
    """Return the error for a file that is not there; `expected` says what it holds."""
    return DamagedFile(
        f"expected {expected} in {uri}/{path}; found no such file: it was deleted, moved or never copied; "
        f"{repair_command(path)}"
    )


def unreadable_file(uri: str, path: str, expected: str, found: str) -> DamagedFile:
    """Return the error for a file that holds something else than `expected`."""
    found = " ".join(found.split())
    return DamagedFile(f"expected {expected} in {uri}/{path}; found {found}; {repair_command(path)}")


@contextlib.contextmanager
def parsing(uri: str, path: str, expected: str, n_bytes: int) -> Iterator[None]:
    """Raise what a parser says of a file's bytes, which are in memory, as DamagedFile."""
    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, KeyError, IndexError) as error:
        raise unreadable_file(uri, path, expected, f"{n_bytes:,} bytes that are none ({error})") from error


def ends_as_parquet(tail: bytes, n_bytes: int) -> bool:
    """Tell whether a file of `n_bytes` with these last eight bytes may be whole: a footer that fits, and its mark."""
    return n_bytes >= MIN_PARQUET_BYTES and tail[-4:] == _MAGIC and int.from_bytes(tail[-8:-4], "little") < n_bytes
