"""Listing of the corpus by date, by last-modified or from a manifest: pages of objects, each a Polars frame.

A page is a thousand objects of S3, a folder, or a batch of a manifest: never the whole listing in memory.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from data_contracts.errors import CorpusError
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.records import AudioObject
from features.corpus import object_frames
from features.corpus.filesystem import EPOCH, is_local, open_root
from features.corpus.folder_pages import local_pages, store_pages
from features.corpus.layout import Corpus, date_in_path, date_of_run
from features.corpus.manifest import manifest_pages
from features.corpus.names import to_text
from features.corpus.object_frames import LISTING_SCHEMA
from features.corpus.s3_pages import s3_pages


def list_pages(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[pl.DataFrame]:
    """List the objects of `dates` (all where None), in LISTING_SCHEMA. Raises CorpusError where the root is missing.

    A date template lists only the folders of its dates, one after the other; `modified` lists the root and keeps what
    was last modified on one of them. Without dates, a template lists the whole root and reads each object's date from
    its path. An object without a date of its own gets the day of its last modification (UTC), and the run's where the
    store does not tell.
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
                for page in _pages(fs, prefix, corpus)
            )
        return
    run_date = date_of_run(dates)
    for page in _pages(fs, corpus.root, corpus):
        dated = _add_dates(page, corpus.layout, to_text(root), run_date).select(LISTING_SCHEMA.keys())
        yield dated if dates is None else dated.filter(pl.col("date").is_in(list(dates)))


def list_objects(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[AudioObject]:
    """List the same objects one by one, for callers that need a few."""
    return (item for page in list_pages(corpus, dates) for item in object_frames.to_objects(page))


def is_grouped_by_date(corpus: Corpus, dates: Sequence[dt.date] | None) -> bool:
    """Tell whether the pages of a date follow each other."""
    return dates is not None and corpus.layout != "modified" and not corpus.manifest


def _pages(fs: Any, prefix: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield files below `prefix`, recursively, each page in the order of names; none where it does not exist."""
    path = str(fs._strip_protocol(prefix)).rstrip("/") or "/"
    with translate_errors(f"listing {prefix}", CorpusError):
        if hasattr(fs, "call_s3"):
            pages = s3_pages(fs, path, corpus)
        else:
            pages = local_pages(fs, path, corpus) if is_local(fs) else store_pages(fs, path, corpus)
        yield from (page.sort("uri") for page in pages if not page.is_empty())


def _add_dates(page: pl.DataFrame, layout: str, root: str, run_date: dt.date) -> pl.DataFrame:
    """Add each object's date, parsed once a folder, else its day of modification, else the run's."""
    folder = pl.col("uri").str.extract("(?s)^(.*/)")
    folders = page.select(folder.unique()).to_series().drop_nulls().to_list()
    dates = [date_in_path(name, layout, root) for name in folders]
    in_path = folder.replace_strict(folders, dates, default=None, return_dtype=pl.Date)
    modified = pl.col("modified")
    day = pl.when(modified > EPOCH).then(modified.dt.date())
    return page.with_columns(date=pl.coalesce(in_path, day, pl.lit(run_date)))
