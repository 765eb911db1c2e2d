"""Frames of corpus objects: PLAN's columns and the `date`, in any order."""

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl
import pyarrow as pa

from data_contracts.records import AudioObject
from data_contracts.schema.tables import PLAN
from features.corpus.filesystem import etag, modified_at, size

OBJECT_KEY = ["uri", "etag"]
"""Key of a content, which is read once."""

SCHEMA: dict[str, Any] = {**pl.DataFrame(PLAN.empty_table()).schema, "date": pl.Date}

LISTING_SCHEMA = {name: SCHEMA[name] for name in ("uri", "etag", "bytes", "modified", "attributes", "date")}


def from_entries(entries: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Convert a file system's entries, whose names are URIs, to a page of a listing, without dates."""
    items = list(entries)
    columns = {
        "uri": [entry["name"] for entry in items],
        "etag": [etag(entry) for entry in items],
        "bytes": [size(entry) for entry in items],
        "modified": [modified_at(entry) for entry in items],
        "attributes": None,
    }
    return pl.DataFrame(columns, schema={name: LISTING_SCHEMA[name] for name in columns})


def from_objects(items: Iterable[AudioObject]) -> pl.DataFrame:
    return pl.DataFrame([[getattr(item, name) for name in SCHEMA] for item in items], schema=SCHEMA, orient="row")


def to_objects(rows: pl.DataFrame) -> Iterator[AudioObject]:
    """Yield the rows as objects; those of a listing have no tries yet."""
    return (AudioObject(**row) for row in rows.iter_rows(named=True))


def to_arrow(rows: pl.DataFrame) -> pa.Table:
    """Convert to PLAN, which has no date: its path says that."""
    return rows.select(PLAN.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(PLAN)
