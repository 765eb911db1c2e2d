"""Comparison of listed objects with the history of the feature store: which of them are still to be read."""

import polars as pl

from features.corpus import object_frames
from features.corpus.object_frames import OBJECT_KEY


def select_unread(
    listed: pl.DataFrame, history: pl.DataFrame, ahead: pl.DataFrame, *, force: bool = False
) -> pl.DataFrame:
    """Of a date's listed objects those to read (`rows.SCHEMA`), by `store_history.history` and `published_ahead`.

    What failed for a reason that passes is read again until it failed too often; by force, everything is.
    """
    done = pl.lit(False) if force else (pl.col("is_settled") | pl.col("worn_out").is_not_null()).fill_null(False)
    return (
        join_history(listed.lazy().with_columns(read_after=None), history)
        .filter(~done)
        .join(ahead.lazy().rename({"read_after": "ahead"}), on="uri", how="left", maintain_order="left")
        .with_columns(
            tries=(pl.col("tries_before") - int(force)).fill_null(0).cast(pl.Int16),
            read_after=pl.max_horizontal("read_after", "ahead"),
        )
        .select(object_frames.SCHEMA.keys())
        .collect()
    )


def join_history(objects: pl.LazyFrame, history: pl.DataFrame) -> pl.LazyFrame:
    """Objects of a date beside earlier attempts at their contents (`store_history.history`; `tries_before`), and
    `read_after` brought up to when their URI was read last.
    """
    last = history.lazy().group_by("uri").agg(read_before=pl.col("read_after").first())
    told = history.lazy().drop("read_after").rename({"tries": "tries_before"})
    return (
        objects.join(told, on=OBJECT_KEY, how="left", maintain_order="left")
        .join(last, on="uri", how="left", maintain_order="left")
        .with_columns(read_after=pl.max_horizontal("read_after", "read_before"))
    )
