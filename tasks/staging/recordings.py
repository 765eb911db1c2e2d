"""Rows of `recordings` and `rejects` to stage, and published rows of the same recordings to replace or delete."""

import polars as pl

from data_contracts.schema import tables
from data_contracts.schema.tables import TABLE_KEYS, UTTERANCE_KEY
from tasks.run.context import Run
from tasks.staging import projection
from tasks.staging.pending import read_pending
from tasks.staging.published_rows import published_utterances, read_related


def recordings_to_stage(run: Run) -> pl.DataFrame:
    """Return the pending recordings with their source and every version that made them."""
    return projection.recordings_with_sources(read_pending(run), run.sources).with_columns(
        emotion_model=pl.lit(run.emotion.label),
        emotion_prior=pl.lit(run.emotion_prior, pl.String),
        speaker_model=pl.lit(run.speaker.label),
        feature_version=pl.lit(run.feature_version),
        run_id=pl.lit(run.id),
    )


def split_published_utterances(
    run: Run, recordings: pl.DataFrame, utterances: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the published utterances of these recordings that are to be deleted, and those that are staged again.

    Deleted are those that the touched recordings do not have any more, and those of overwritten contents.
    """
    related = read_related(run)
    before = related.join(recordings, on="uri", how="semi").select("recording_id")
    others = related.join(recordings, on="uri", how="anti").filter(pl.col("status") == "ok")
    overwritten = before.join(recordings, on="recording_id", how="anti").join(others, on="recording_id", how="anti")
    unusable = recordings.filter(pl.col("status") != "ok").join(others, on="recording_id", how="anti")
    counted = recordings.filter("counted")
    touched = pl.concat([frame.select("recording_id") for frame in (overwritten, unusable, counted)])
    published = published_utterances(run, touched["recording_id"].drop_nulls().unique())
    deleted = published.join(utterances, on=UTTERANCE_KEY, how="anti")
    return deleted, published.join(utterances, on=UTTERANCE_KEY, how="semi")


def rejects_to_stage(run: Run, recordings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `rejects`, and the keys of published rejects that these recordings resolve."""
    rejected = recordings.filter(pl.col("status") == "rejected").select(tables.REJECTS.names)
    key = list(TABLE_KEYS["rejects"])
    before = run.lake.frame("rejects", tables.REJECTS).join(recordings.lazy().select("uri"), on="uri", how="semi")
    return rejected, before.join(rejected.lazy(), on=key, how="anti").select(key).collect()


def cast_to_schema(frame: pl.DataFrame, table: str, run: Run) -> pl.DataFrame:
    """Select the columns of the table's schema, with its types."""
    schema = run.utterances if table == "utterances" else getattr(tables, table.upper())
    empty = pl.DataFrame(schema.empty_table())
    return frame.select(pl.col(name).cast(kind) for name, kind in empty.schema.items())
