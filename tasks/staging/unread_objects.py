"""Comparison of listed objects with the history of the feature store, to select those that are unread."""

import polars as pl

from features.corpus import object_frames
from features.corpus.object_frames import OBJECT_KEY


def select_unread(
    listed: pl.DataFrame, history: pl.DataFrame, ahead: pl.DataFrame, *, again: pl.DataFrame, force: bool = False
) -> pl.DataFrame:
    """Return the objects of a date to read (`object_frames.SCHEMA`), by its history and `reads_ahead_of_clock`.

    An object that failed for a transient reason is read again until it failed too often; those `again` (uri, etag) are
    read in place of their last attempt, and with `force` all are.
    """
    is_again = pl.lit(True) if force else pl.col("again").fill_null(False)
    done = (pl.col("is_settled") | pl.col("exhausted").is_not_null()).fill_null(False)
    marked = again.lazy().select(OBJECT_KEY).unique().with_columns(again=pl.lit(True))
    return (
        join_history(listed.lazy().with_columns(read_after=None), history)
        .join(marked, on=OBJECT_KEY, how="left", maintain_order="left")
        .filter(is_again | ~done)
        .join(ahead.lazy().rename({"read_after": "ahead"}), on="uri", how="left", maintain_order="left")
        .with_columns(
            tries=(pl.col("tries_before") - is_again.cast(pl.Int16)).fill_null(0).cast(pl.Int16),
            read_after=pl.max_horizontal("read_after", "ahead"),
        )
        .select(object_frames.SCHEMA.keys())
        .collect()
    )


def join_history(objects: pl.LazyFrame, history: pl.DataFrame) -> pl.LazyFrame:
    """Join objects of a date with earlier attempts at their contents (`history.attempts`, tries as `tries_before`).

    `read_after` is raised to the last read of their URI.
    """
    last = history.lazy().group_by("uri").agg(read_before=pl.col("read_after").first())
    attempts = history.lazy().drop("read_after").rename({"tries": "tries_before"})
    return (
        objects.join(attempts, on=OBJECT_KEY, how="left", maintain_order="left")
        .join(last, on="uri", how="left", maintain_order="left")
        .with_columns(read_after=pl.max_horizontal("read_after", "read_before"))
    )
