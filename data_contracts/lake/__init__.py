"""The lake: features, staging, analytics and validation below one root, a folder or an object store.

from data_contracts import lake
lake.open("s3://bucket/undertone").scan("utterances")      # a polars LazyFrame
"""

import re

import polars as pl

from data_contracts.addresses import is_url, normalize, protocol_of
from data_contracts.errors import UsageError
from data_contracts.lake.scan import scan
from data_contracts.lake.tables import Tables
from data_contracts.object_store.retry import RetryPolicy

_ODD = re.compile(r"[^A-Za-z0-9/:._+=@,~-]")
_DELTA_CAN_WRITE = {"file", "s3", "s3a", "gs", "gcs", "az", "abfs"}


def open(uri: str, retry_policy: RetryPolicy = RetryPolicy()) -> "Lake":  # noqa: A001 - `lake.open(URI)` is how people say it
    """Open the lake at `uri`, a folder or any URL that both fsspec and Delta know. Raises UsageError for other URLs."""
    uri = normalize(uri)
    if protocol_of(uri) not in _DELTA_CAN_WRITE:
        raise UsageError(
            f"the lake must be a folder or an s3://, gs:// or az:// URL; found {uri!r}; set UNDERTONE_LAKE"
        )
    if is_url(uri) and {"", ".", ".."} & set(uri.partition("://")[2].split("/")):
        raise UsageError(
            f"the lake's address may not hold //, . or .. behind its protocol; found {uri!r}: take them out"
        )
    lake = Lake(uri, retry_policy)
    odd = "".join(sorted(set(_ODD.findall(lake.uri))))
    if odd:
        raise UsageError(
            "the lake's address may hold ASCII letters, digits and . _ - + = @ , ~, because Delta and Polars spell "
            f"others in different ways; found {odd!r} in {lake.uri!r}"
        )
    return lake


class Lake(Tables):
    """Files (`storage`), tables (`tables`) and snapshots below one root."""

    def scan(self, name: str, *, as_of: str | None = None) -> pl.LazyFrame:
        """Scan a table as the newest complete publication left it, or a feature set, by name.

        Tables scanned one after the other may belong to two publications; `snapshot` reads all from one. `as_of` is a
        run's id, a Delta version, an ISO time or date (`data_contracts.lake.time_travel`). Raises UsageError where the
        table or feature set does not exist (yet).
        """
        return scan(self, name, as_of=as_of)
