"""Delta tables of a lake, below `analytics/`."""

import re
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from data_contracts.errors import DamagedFile
from data_contracts.lake.damage import repair_command
from data_contracts.lake.names import commit_version
from data_contracts.lake.pointer import LOST, read_pointer
from data_contracts.lake.storage import Storage

_STORE_TEXT = re.compile(r"[Oo]bject ?[Ss]tore|HTTP|S3")  # errors of the store, which `translate_errors` knows


class Tables(Storage):
    """Access to tables by name, newest or at an earlier version."""

    def newest_commit(self, table: str) -> int | None:
        """Return the newest version in the table's log; None where there is no log."""
        # deltalake's `is_deltatable` holds the GIL while it waits for the network: a server in this process (the
        # demo's, the tests') could never answer it.
        found = map(commit_version, self.names(f"analytics/{table}/_delta_log"))
        return max((version for version in found if version is not None), default=None)

    def delta(self, table: str, version: int | None = None) -> DeltaTable | None:
        """Open an analytics table, newest or at `version`; None before its first publication.

        Raises DamagedFile where it was published and is gone, and where its log does not lead to the version.
        """
        folder = f"analytics/{table}"
        if self.newest_commit(table) is None:
            pointer = read_pointer(self)
            if pointer is None or pointer.versions.get(table, LOST) == LOST:
                return None
            raise DamagedFile(
                f"expected the table {table} at version {pointer.versions[table]}, as run {pointer.run_id} published "
                f"it, in {self.uri_of(folder)}; found no Delta log there; {repair_command(f'{folder}/_delta_log')}"
            )
        uri, kind = self.uri_of(folder), _LocalTable if self.is_local else DeltaTable
        try:
            return self._retry(
                f"opening {uri}", lambda: kind(uri, version=version, storage_options=self.storage_options)
            )
        except DeltaError as error:
            words = " ".join(str(error).split())[:200]
            if _STORE_TEXT.search(words):
                raise
            wanted = "its newest version" if version is None else f"version {version}"
            raise DamagedFile(
                f"expected the log in {uri}/_delta_log to lead to {wanted}; found {words}; "
                f"{repair_command(f'{folder}/_delta_log')}"
            ) from error

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
