"""DuckDB views over the Parquet files of tables and feature sets, so that filters are pushed down to the files.

Each view declares its columns, so that DuckDB opens only the files that a query needs; columns that an older file
lacks are null. Without the declaration, DuckDB would open every file.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from data_contracts.lake import Lake
from data_contracts.lake.feature_files import FeatureFile, feature_files
from data_contracts.schema import tables
from flows.analytics.known_files import PROTOCOL, KnownFiles

_PARTITION_COLUMNS = {"version": "VARCHAR", "date": "DATE"}
"""Columns that exist in the path alone, as hive folders."""


@dataclass(frozen=True)
class Views:
    """Views of one connection. `known` serves the files of an object store; None where the lake is local."""

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    known: KnownFiles | None

    def table(self, name: str, delta: DeltaTable | None) -> None:
        """Add a view of a table at its opened version; empty where it was never published."""
        schema = _schema(name) if delta is None else _with_new_columns(pa.schema(delta.schema().to_arrow()), name)
        actions = pl.DataFrame(delta.get_add_actions(flatten=True)) if delta is not None else pl.DataFrame()
        if actions.is_empty() or delta is None:
            self.connection.register(name, schema.empty_table())
            return
        paths = (f"analytics/{name}/{path}" for path in actions["path"])
        files = [FeatureFile(*file) for file in zip(paths, actions["size_bytes"], strict=True)]
        columns = self.connection.from_arrow(schema.empty_table())
        kinds = dict(zip(columns.columns, map(str, columns.types), strict=True))
        self._create_view(name, files, kinds, delta.metadata().partition_columns)

    def feature_set(self, name: str, feature_set: str) -> None:
        """Add a view of a feature set, each shard once. Raises UsageError where there is none yet."""
        files = feature_files(self.lake, feature_set)
        folders = {file.path.rpartition("/date=")[0]: file for file in files}  # a version's last
        examples = ", ".join(map(self._quoted, self._register_files(folders.values())))
        found = self.connection.sql(
            f"SELECT * FROM read_parquet([{examples}], union_by_name = true, hive_partitioning = false)"
        )
        kinds = dict(zip(found.columns, map(str, found.types), strict=True))
        self._create_view(name, files, kinds | _PARTITION_COLUMNS, list(_PARTITION_COLUMNS))

    def _create_view(self, name: str, files: list[FeatureFile], kinds: dict[str, str], folders: list[str]) -> None:
        stored = {column: kind for column, kind in kinds.items() if column not in folders}
        schema = ", ".join(
            f"{_sql_string(column)}: {{name: {_sql_string(column)}, type: {_sql_string(kind)}, default_value: NULL}}"
            for column, kind in stored.items()
        )
        columns = ", ".join(
            _partition_column(column, kinds[column]) if column in folders else _identifier(column) for column in kinds
        )
        whole = [file for file in files if not file.hidden]
        selects = [self._select(whole, schema, columns)] if whole else []
        selects += [self._select([file], schema, columns) for file in files if file.hidden]
        self.connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(selects)}")

    def _select(self, files: list[FeatureFile], schema: str, columns: str) -> str:
        names = ", ".join(map(self._quoted, self._register_files(files)))
        hidden = [
            f"file_row_number >= {first} AND file_row_number < {end}" for file in files for first, end in file.hidden
        ]
        where = f" WHERE NOT ({' OR '.join(hidden)})" if hidden else ""
        options = f"schema = MAP {{{schema}}}, filename = true{', file_row_number = true' if hidden else ''}"
        return f"SELECT {columns} FROM read_parquet([{names}], {options}){where}"

    def _register_files(self, files: Iterable[FeatureFile]) -> list[str]:
        files = list(files)
        if self.known is not None:
            self.known.sizes |= {file.path: file.n_bytes for file in files}
        return [file.path for file in files]

    def _quoted(self, path: str) -> str:
        return _sql_string(f"{PROTOCOL}://{path}" if self.known is not None else self.lake.uri_of(path))


def _schema(table: str) -> pa.Schema:
    return tables.utterances_schema(()) if table == "utterances" else getattr(tables, table.upper())


def _with_new_columns(stored: pa.Schema, table: str) -> pa.Schema:
    """Return a stored schema with the columns that a table has gained since, which are null."""
    return pa.schema([*stored, *(field for field in _schema(table) if field.name not in stored.names)])


def _sql_string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _identifier(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _partition_column(column: str, kind: str) -> str:
    """Return SQL that reads a partition column from the path, so that DuckDB skips files by it."""
    return f"CAST(regexp_extract(filename, '/{column}=([^/]+)/', 1) AS {kind}) AS {_identifier(column)}"
