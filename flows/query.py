"""SQL over every table and feature set by its name, with DuckDB."""

import re

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from data_contracts import schemas
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.published import published
from data_contracts.schemas import FEATURE_SETS, TABLE_KEYS

SETS = {f"features_{name}" if name in TABLE_KEYS else name: name for name in FEATURE_SETS}
"""Feature sets by the name that a query calls them: `recordings` is the table, `features_recordings` the set."""


def connect(lake: Lake, sql: str) -> duckdb.DuckDBPyConnection:
    """A connection that knows the tables named in `sql`, all as one run left them; the lake is only read."""
    connection = duckdb.connect()
    if not lake.is_local:
        connection.register_filesystem(lake.fs)
    words, tables = set(re.findall(r"[a-z_]+", sql.lower())), published(lake)
    for table in words & TABLE_KEYS.keys():
        _add_table(tables.delta(table), table, connection)
    for name in words & SETS.keys():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {_feature_set(lake, SETS[name])}")
    return connection


def query(lake: Lake, sql: str) -> pa.Table:
    """The answer as an Arrow table. Raises UsageError with DuckDB's words where the SQL is wrong."""
    try:
        answer = connect(lake, sql).sql(sql)
        return pa.table({}) if answer is None else answer.to_arrow_table()
    except duckdb.Error as error:
        known = ", ".join([*TABLE_KEYS, *SETS])
        raise UsageError(f"{str(error).strip()}\nTables: {known}") from error


def _add_table(delta: DeltaTable | None, table: str, connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB reads the version's Parquet itself: Arrow cannot compare the string views that merges write."""
    files = delta.file_uris() if delta is not None else []
    if delta is None or not files:
        schema = schemas.utterances(()) if table == "utterances" else getattr(schemas, table.upper())
        connection.register(table, schema.empty_table() if delta is None else delta.to_pyarrow_dataset())
        return
    columns = ", ".join(f'"{field.name}"' for field in delta.schema().fields)
    names = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    days = ", ".join(f"'{column}': DATE" for column in delta.metadata().partition_columns)
    hive = f", hive_partitioning = true, hive_types = {{{days}}}" if days else ""
    connection.execute(
        f"CREATE VIEW {table} AS SELECT {columns} FROM read_parquet([{names}], union_by_name = true{hive})"
    )


def _feature_set(lake: Lake, name: str) -> str:
    """DuckDB reads the Parquet itself: Arrow's half floats, the embeddings, are not for it."""
    folder = f"features/{name}"
    if not lake.names(folder):
        raise UsageError(f"{lake.at(folder)} holds nothing yet; run `undertone backfill`")
    files = lake.at(folder, "*", "*", "*.parquet").replace("'", "''")
    return f"read_parquet('{files}', hive_partitioning = true)"
