"""Manifest in place of a listing: Parquet, CSV or JSONL with a `uri`; further columns are kept as attributes."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import polars as pl

from data_contracts.addresses import is_url, normal_uri, spellings
from data_contracts.channel_names import channel_names
from data_contracts.errors import CorpusError, UsageError
from data_contracts.records import AudioObject
from features.corpus.filesystem import EPOCH, stat_object
from features.corpus.layout import date_in_path, date_of_run
from features.corpus.manifest_dates import parse_dates
from features.corpus.manifest_files import scan_manifest
from features.corpus.object_frames import from_objects

_RESERVED_COLUMNS = {"uri", "date"}
_BATCH_ROWS = 1_000


def manifest_pages(manifest: str, dates: Sequence[dt.date] | None, *, layout: str, root: str) -> Iterator[pl.DataFrame]:
    """Yield the manifest's objects of `dates` (all where None), a batch at a time.

    The date is the manifest's `date` column where it has one, else the one that `layout` finds in the path, else the
    day of the last modification, and the run's for a missing object or a folder. Those are listed with etag `missing`
    or `folder`: reading them will report that. Relative URIs start at the corpus' root.
    """
    rows = scan_manifest(manifest)
    columns = rows.collect_schema().names()
    if "uri" not in columns:
        raise UsageError(f"manifest {manifest}: expected a column `uri`; found {', '.join(columns) or 'none'}")
    rows = rows.filter(~pl.all_horizontal(pl.all().is_null()))  # a CSV's empty lines
    if "date" in columns:
        rows = _parse_dates(rows, manifest)
        rows = rows if dates is None else rows.filter(pl.col("date").is_null() | pl.col("date").is_in(list(dates)))
    wanted, run_date = None if dates is None else set(dates), date_of_run(dates)
    with ThreadPoolExecutor(16, thread_name_prefix="stat") as pool:
        for batch in _batches(rows, manifest):
            found = pool.map(
                lambda row: _object(row, layout=layout, root=root, run_date=run_date), batch.iter_rows(named=True)
            )
            yield from_objects(item for item in found if wanted is None or item.date in wanted)


def _batches(rows: pl.LazyFrame, manifest: str) -> Iterator[pl.DataFrame]:
    try:
        yield from rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"the manifest {manifest} cannot be read: {error}") from error


def _parse_dates(rows: pl.LazyFrame, manifest: str) -> pl.LazyFrame:
    try:
        return parse_dates(rows, manifest)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"the manifest {manifest} cannot be read: {error}") from error


def _object(row: dict[str, Any], *, layout: str, root: str, run_date: dt.date) -> AudioObject:
    if not row["uri"]:
        raise CorpusError(f"a row of the manifest has no uri: {row}; take it out or fill it in")
    uri = str(row["uri"])
    if not is_url(uri) and not uri.startswith("/"):
        uri = f"{root.rstrip('/')}/{uri}" if root else uri
    uri = normal_uri(uri)
    date = row.get("date") or date_in_path(uri, layout, root)
    attributes = {name: value for name, value in row.items() if name not in _RESERVED_COLUMNS and value is not None}
    _check_channel_names(uri, attributes.get("channel_names", ""))
    packed = json.dumps(attributes, default=str, sort_keys=True) if attributes else None
    found = _find(uri, date) or AudioObject(uri, "missing", 0, date or run_date, EPOCH)
    date = date or (found.date if found.modified > EPOCH else run_date)
    return replace(found, date=date, attributes=packed)


def _find(uri: str, date: dt.date | None) -> AudioObject | None:
    """Describe an object, by another spelling where it is only there under that; None where it is missing."""
    for spelling in spellings(uri):
        with contextlib.suppress(FileNotFoundError, CorpusError):
            return stat_object(spelling, date)
    return None


def _check_channel_names(uri: str, value: Any) -> None:
    """Raise CorpusError early, while a person can mend the manifest, and not when the utterances are joined."""
    try:
        channel_names(value)
    except ValueError as error:
        raise CorpusError(f"the manifest's row of {uri}: channel_names: {error}; mend it or leave it out") from error
