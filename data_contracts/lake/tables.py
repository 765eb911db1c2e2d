"""Delta tables of a lake, below `analytics/`."""

from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from data_contracts.lake.names import commit_version
from data_contracts.lake.storage import Storage


class Tables(Storage):
    """Access to tables by name, newest or at an earlier version."""

    def delta(self, table: str, version: int | None = None) -> DeltaTable | None:
        """Open an analytics table, newest or at `version`; None before its first publication."""
        # deltalake's `is_deltatable` holds the GIL while it waits for the network: a server in this process (the
        # demo's, the tests') could never answer it.
        if all(commit_version(name) is None for name in self.names(f"analytics/{table}/_delta_log")):
            return None
        uri, kind = self.uri_of("analytics", table), _LocalTable if self.is_local else DeltaTable
        return self._retry(f"opening {uri}", lambda: kind(uri, version=version, storage_options=self.storage_options))

    def frame(self, table: str, schema: pa.Schema) -> pl.LazyFrame:
        """Scan an analytics table lazily; an empty frame of `schema` before its first publication.

        Columns of `schema` that an earlier version did not write are null.
        """
        delta, empty = self.delta(table), pl.DataFrame(schema.empty_table())
        if delta is None:
            return empty.lazy()
        present = {field.name for field in delta.schema().fields}
        added = [pl.lit(None, kind).alias(name) for name, kind in empty.schema.items() if name not in present]
        return pl.scan_delta(delta, storage_options=self.polars_options).with_columns(added)


class _LocalTable(DeltaTable):
    """A table in a folder that names its files as they are: Polars opens `My%20Projects` under that very name."""

    @property
    def table_uri(self) -> str:
        return unquote(super().table_uri)

    def file_uris(self, *filters: Any, **more: Any) -> list[str]:
        return [unquote(uri) for uri in super().file_uris(*filters, **more)]
