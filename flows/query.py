"""SQL over every table and feature set by its name, with DuckDB."""

import re
from typing import Any

import duckdb
import pyarrow as pa

from data_contracts import schemas
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.schemas import FEATURE_SETS, TABLE_KEYS

SETS = {f"features_{name}" if name in TABLE_KEYS else name: name for name in FEATURE_SETS}
"""Feature sets by the name that a query calls them: `recordings` is the table, `features_recordings` the set."""


def connect(lake: Lake, sql: str) -> duckdb.DuckDBPyConnection:
    """A connection that knows the tables named in `sql`; nothing else is opened. The lake is only read."""
    connection = duckdb.connect()
    words = set(re.findall(r"[a-z_]+", sql.lower()))
    for table in words & TABLE_KEYS.keys():
        connection.register(table, _table(lake, table))
    for name in words & SETS.keys():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {_feature_set(lake, SETS[name], connection)}")
    return connection


def query(lake: Lake, sql: str) -> pa.Table:
    """The answer as an Arrow table. Raises UsageError with DuckDB's words where the SQL is wrong."""
    try:
        answer = connect(lake, sql).sql(sql)
        return pa.table({}) if answer is None else answer.to_arrow_table()
    except duckdb.Error as error:
        known = ", ".join([*TABLE_KEYS, *SETS])
        raise UsageError(f"{str(error).strip()}\nTables: {known}") from error


def _table(lake: Lake, table: str) -> Any:
    delta = lake.delta(table)
    if delta is not None:
        return delta.to_pyarrow_dataset()
    if table == "utterances":
        return schemas.utterances(()).empty_table()
    return getattr(schemas, table.upper()).empty_table()


def _feature_set(lake: Lake, name: str, connection: duckdb.DuckDBPyConnection) -> str:
    """DuckDB reads the Parquet itself: Arrow's half floats, the embeddings, are not for it."""
    folder = f"features/{name}"
    if not lake.names(folder):
        raise UsageError(f"{lake.at(folder)} holds nothing yet; run `undertone backfill`")
    if not lake.is_local:
        connection.register_filesystem(lake.fs)
    files = lake.at(folder, "*", "*", "*.parquet").replace("'", "''")
    return f"read_parquet('{files}', hive_partitioning = true)"
