"""Listing of the corpus by date, by last-modified or from a manifest: pages of objects, each a Polars frame.

A page is a thousand objects of S3, a folder, or a batch of a manifest: never the whole listing in memory.
"""

import datetime as dt
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import polars as pl

from data_contracts.errors import CorpusError
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from features.corpus import object_frames
from features.corpus.filesystem import etag, is_local, modified_at, open_root, size
from features.corpus.layout import Corpus, date_in_path
from features.corpus.manifest import manifest_pages
from features.corpus.names import HIDDEN, is_hidden, to_text

LISTING_SCHEMA = {
    name: object_frames.SCHEMA[name] for name in ("uri", "etag", "bytes", "modified", "attributes", "date")
}


def list_pages(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[pl.DataFrame]:
    """List the objects of `dates` (all where None), in LISTING_SCHEMA. Raises CorpusError where the root is missing.

    A date template lists only the folders of its dates, one after the other; `modified` lists the root and keeps what
    was last modified on one of them. Without dates, a template lists the whole root and reads each object's date from
    its path. An object without a date of its own gets the day of its last modification (UTC).
    """
    if corpus.manifest:
        pages = manifest_pages(corpus.manifest, dates, layout=corpus.layout, root=corpus.root)
        yield from (page.select(LISTING_SCHEMA.keys()) for page in pages)
        return
    fs, root = open_root(corpus.root, corpus.retry_policy)
    if is_grouped_by_date(corpus, dates):
        for date in dates or ():
            prefix = corpus.layout.format(root=corpus.root.rstrip("/"), date=date)
            yield from (
                page.with_columns(date=pl.lit(date)).select(LISTING_SCHEMA.keys())
                for page in _pages(fs, prefix, corpus.retry_policy)
            )
        return
    for page in _pages(fs, corpus.root, corpus.retry_policy):
        dated = _add_dates(page, corpus.layout, to_text(root)).select(LISTING_SCHEMA.keys())
        yield dated if dates is None else dated.filter(pl.col("date").is_in(list(dates)))


def list_objects(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[AudioObject]:
    """List the same objects one by one, for callers that need a few."""
    return (item for page in list_pages(corpus, dates) for item in object_frames.to_objects(page))


def is_grouped_by_date(corpus: Corpus, dates: Sequence[dt.date] | None) -> bool:
    """Tell whether the pages of a date follow each other."""
    return dates is not None and corpus.layout != "modified" and not corpus.manifest


def _pages(fs: Any, prefix: str, retry_policy: RetryPolicy) -> Iterator[pl.DataFrame]:
    """Yield files below `prefix`, recursively, each page in the order of names; none where it does not exist."""
    path = fs._strip_protocol(prefix)
    with translate_errors(f"listing {prefix}", CorpusError):
        if hasattr(fs, "call_s3"):
            pages = _s3_pages(fs, path, retry_policy)
        else:
            pages = map(_to_frame, _local_folders(path)) if is_local(fs) else _folders(fs, path)
        yield from (page.sort("uri") for page in pages if not page.is_empty())


def _add_dates(page: pl.DataFrame, layout: str, root: str) -> pl.DataFrame:
    """Add each object's date, parsed once a folder, else its day of modification."""
    folder = pl.col("uri").str.extract("(?s)^(.*/)")
    folders = page.select(folder.unique()).to_series().drop_nulls().to_list()
    dates = [date_in_path(name, layout, root) for name in folders]
    in_path = folder.replace_strict(folders, dates, default=None, return_dtype=pl.Date)
    return page.with_columns(date=pl.coalesce(in_path, pl.col("modified").dt.date()))


def _to_frame(entries: list[dict[str, Any]]) -> pl.DataFrame:
    """Convert a file system's entries, whose names are URIs, to a page."""
    columns = {
        "uri": [entry["name"] for entry in entries],
        "etag": [etag(entry) for entry in entries],
        "bytes": [size(entry) for entry in entries],
        "modified": [modified_at(entry) for entry in entries],
        "attributes": None,
    }
    return pl.DataFrame(columns, schema={name: LISTING_SCHEMA[name] for name in columns})


def _s3_pages(fs: Any, path: str, retry_policy: RetryPolicy) -> Iterator[pl.DataFrame]:
    """Yield pages of S3, a thousand objects a request."""
    bucket, _, folder = path.partition("/")
    prefix = f"{folder}/" if folder else ""
    request, root = {"Bucket": bucket, "Prefix": prefix}, f"{fs.unstrip_protocol(bucket)}/"
    while True:
        answer = retry_policy.call(
            f"listing s3://{path}", partial(fs.call_s3, "list_objects_v2", **request), CorpusError
        )
        items = answer.get("Contents", ())
        columns = {
            "uri": [item["Key"] for item in items],
            "etag": [item.get("ETag") or etag({**item, "size": item["Size"]}) for item in items],
            "bytes": [item["Size"] for item in items],
            "modified": [modified_at(item) for item in items],
            "attributes": None,
        }
        key = pl.col("uri")
        page = pl.DataFrame(columns, schema={name: LISTING_SCHEMA[name] for name in columns}).filter(
            ~key.str.ends_with("/"), ~key.str.strip_prefix(prefix).str.contains(HIDDEN)
        )
        yield page.with_columns(uri=pl.lit(root) + key, etag=pl.col("etag").str.strip_chars('"'))
        if not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]


def _local_folders(path: str, parents: tuple[str, ...] = ()) -> Iterator[list[dict[str, Any]]]:
    """Yield files, a folder at a time; follows links but never in a circle, leaves out pipes and devices."""
    real_path = os.path.realpath(path)
    if real_path in parents:
        return
    try:
        with os.scandir(path) as listing:
            entries = sorted((item for item in listing if not is_hidden(item.name)), key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    found = [(item.path, _stat(item)) for item in entries if not item.is_dir()]
    yield [
        {"name": to_text(name), "size": status.st_size, "mtime": status.st_mtime}
        for name, status in found
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
    ]
    for item in entries:
        if item.is_dir():
            yield from _local_folders(item.path, (*parents, real_path))


def _stat(item: "os.DirEntry[str]") -> os.stat_result:
    """Stat an entry. A broken link is listed as it is: reading it will report that."""
    try:
        return item.stat()
    except OSError:
        return item.stat(follow_symlinks=False)


def _folders(fs: Any, path: str) -> Iterator[pl.DataFrame]:
    for _, folders, files in fs.walk(path, detail=True):
        for name in [name for name in folders if is_hidden(name)]:
            del folders[name]
        visible = [entry for name, entry in files.items() if name and not is_hidden(name)]
        yield _to_frame([{**entry, "name": str(fs.unstrip_protocol(entry["name"]))} for entry in visible])
