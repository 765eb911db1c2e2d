"""SQL over every table and feature set by its name, with DuckDB."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from data_contracts.errors import LakeError, UndertoneError, UsageError
from data_contracts.lake import Lake
from data_contracts.lake.damage import unreadable_file
from data_contracts.lake.snapshot import snapshot
from data_contracts.lake.time_travel import snapshot_as_of as tables_of
from data_contracts.schema.feature_sets import FEATURE_SETS
from data_contracts.schema.tables import TABLE_KEYS
from flows.analytics.known_files import PROTOCOL, KnownFiles
from flows.analytics.views import Views

FEATURE_SET_VIEWS = {f"features_{name}" if name in TABLE_KEYS else name: name for name in FEATURE_SETS}
"""Feature sets by their names in SQL: `recordings` is the table, `features_recordings` the set."""

_BATCH_ROWS = 100_000


def connect(lake: Lake, sql: str, *, as_of: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open a connection with views of the tables that `sql` names, all as one run left them; the lake is only read.

    `as_of` chooses an earlier state (`data_contracts.lake.time_travel`); feature sets have no versions and are current.
    """
    return _connect(lake, sql, as_of, None if lake.is_local else KnownFiles(lake))


def _connect(lake: Lake, sql: str, as_of: str | None, known_files: KnownFiles | None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if known_files is not None:
        connection.register_filesystem(known_files)
        connection.register_filesystem(lake.fs)
    views, words = Views(lake, connection, known_files), set(re.findall(r"[a-z_]+", sql.lower()))
    table_names = [table for table in TABLE_KEYS if table in words]
    tables = snapshot(lake) if as_of is None else tables_of(lake, as_of, table_names)
    for table in table_names:
        views.table(table, tables.delta(table))
    stored_sets = lake.names("features") if words & FEATURE_SET_VIEWS.keys() else []
    for name in words & FEATURE_SET_VIEWS.keys():
        if FEATURE_SET_VIEWS[name] in stored_sets:
            views.feature_set(name, FEATURE_SET_VIEWS[name])
    return connection


def query(lake: Lake, sql: str, *, as_of: str | None = None) -> pa.Table:
    """Return the answer as an Arrow table.

    Raises UsageError with DuckDB's message where the SQL is wrong, and the store's own errors.
    """
    with stream_query(lake, sql, as_of=as_of) as answer:
        return answer.read_all()


@contextmanager
def stream_query(lake: Lake, sql: str, *, as_of: str | None = None) -> Iterator[pa.RecordBatchReader]:
    """Yield the answer in batches, for answers larger than memory. Raises as `query` does."""
    known_files = None if lake.is_local else KnownFiles(lake)
    try:
        with _connect(lake, sql, as_of, known_files) as connection:
            answer = connection.sql(sql)
            yield pa.table({}).to_reader() if answer is None else _cast_unsupported(answer).to_arrow_reader(_BATCH_ROWS)
    except duckdb.Error as error:
        raise _translate_error(lake, error, known_files.failure if known_files is not None else None) from error


def _cast_unsupported(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Cast types that Parquet, JSON or CSV lack to text, in DuckDB's format."""
    kinds = dict(zip(answer.columns, map(str, answer.types), strict=True))
    unsupported = {name for name, kind in kinds.items() if re.search(r"\b(INTERVAL|BLOB|BIT|BIGNUM)\b", kind)}
    if not unsupported:
        return answer
    names = {name: '"' + name.replace('"', '""') + '"' for name in kinds}
    return answer.project(
        ", ".join(
            f"CAST({quoted} AS VARCHAR) AS {quoted}" if name in unsupported else quoted
            for name, quoted in names.items()
        )
    )


def _translate_error(lake: Lake, error: duckdb.Error, failure: Exception | None) -> UndertoneError:
    """Return one of our errors for DuckDB's. `failure` is the last error of the object store, if any."""
    words = str(error).strip()
    if isinstance(failure, UndertoneError):
        return failure
    if isinstance(failure, FileNotFoundError) or "No files found that match" in words:
        return LakeError(f"a file below {lake.uri} was packed or removed while it was read: ask again ({words[-200:]})")
    unreadable = re.search(r"(?:at end of file|File) '([^']+)'", words)
    if unreadable:
        path = unreadable[1].removeprefix(f"{PROTOCOL}://").removeprefix(f"{lake.uri}/")
        return unreadable_file(lake.uri, path, "a whole Parquet file", f"something else ({words})")
    missing = re.match(r"Catalog Error: Table with name (\w+) does not exist", words)
    if missing and missing[1].lower() in FEATURE_SET_VIEWS:
        place = lake.uri_of("features", FEATURE_SET_VIEWS[missing[1].lower()])
        return UsageError(f"{place} holds nothing yet; run `undertone backfill`")
    return UsageError(f"{words}\nTables: {', '.join([*TABLE_KEYS, *FEATURE_SET_VIEWS])}")
