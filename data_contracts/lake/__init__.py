"""The lake: features, staging, analytics and validation below one root, a folder or an object store.

from data_contracts import lake
lake.open("s3://bucket/undertone").scan("utterances")      # a polars LazyFrame
"""

import polars as pl

from data_contracts.lake.scan import scan
from data_contracts.lake.tables import Tables
from data_contracts.lake_addresses import lake_address
from data_contracts.object_store.retry import RetryPolicy


def open(uri: str, retry_policy: RetryPolicy = RetryPolicy()) -> "Lake":  # noqa: A001 - `lake.open(URI)` is how people say it
    """Open the lake at `uri`, a folder or any URL that both fsspec and Delta know. Raises UsageError for other URLs."""
    return Lake(lake_address(uri), retry_policy)


class Lake(Tables):
    """Files (`storage`), tables (`tables`) and snapshots below one root."""

    def scan(self, name: str, *, as_of: str | None = None) -> pl.LazyFrame:
        """Scan a table as the newest complete publication left it, or a feature set, by name.

        Tables scanned one after the other may belong to two publications; `snapshot` reads all from one. `as_of` is a
        run's id, a Delta version, an ISO time or date (`data_contracts.lake.time_travel`). Raises UsageError where the
        table or feature set does not exist (yet).
        """
        return scan(self, name, as_of=as_of)
