"""Projection of tables on some dates: their rows as they will stand after publication, each with its source."""

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schema import tables
from data_contracts.schema.tables import QUALITY_MEASURES, UTTERANCE_KEY
from features.corpus.sources import Sources

_COLUMNS = (
    *("uri", "recording_id", "date", "source", "attributes", "status", "reason"),
    *("seconds", "speech_s", "clipped_share", "truncated_s", *QUALITY_MEASURES),
)


def utterances(
    lake: Lake, schema: pa.Schema, days: pl.Series, staged: pl.DataFrame, deleted: pl.DataFrame
) -> pl.DataFrame:
    """Return the staged utterances, and the published ones of `days` that are neither staged nor `deleted`."""
    published = lake.frame("utterances", schema).filter(pl.col("date").is_in(days.implode()))
    replaced = pl.concat([staged.select(UTTERANCE_KEY), deleted.select(UTTERANCE_KEY)])
    kept = published.join(replaced.lazy(), on=UTTERANCE_KEY, how="anti").collect()
    return pl.concat([kept, staged], how="diagonal")


def recordings(lake: Lake, days: pl.Series, staged: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """Return a few columns of the recordings of `days`; rows of versions without sources get theirs."""
    published = (
        lake.frame("recordings", tables.RECORDINGS).filter(pl.col("date").is_in(days.implode())).select(_COLUMNS)
    )
    kept = published.join(staged.lazy().select("uri"), on="uri", how="anti").collect()
    rows = pl.concat(
        [kept, staged.filter(pl.col("date").is_in(days.implode())).select(_COLUMNS)], how="vertical_relaxed"
    )
    return recordings_with_sources(rows, sources).drop("attributes")


def recordings_with_sources(recordings: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """Add `source` where a row has none yet, from uri, date and attributes."""
    rows = recordings.select("uri", "date", "attributes").iter_rows()
    source = pl.Series("source", [sources.source_of(*row) for row in rows], pl.String)
    if "source" not in recordings.columns:
        return recordings.with_columns(source)
    return recordings.with_columns(source=pl.col("source").fill_null(source))


def utterances_with_sources(
    lake: Lake, utterances: pl.DataFrame, recordings: pl.DataFrame, sources: Sources
) -> pl.DataFrame:
    """Add the `source` of the recording under whose URI the utterances are kept: its first on their date.

    Where that URI got another content, the source of any recording with theirs; `recordings` are those of the dates.
    """
    usable = recordings.filter(pl.col("status") == "ok").select("recording_id", "date", "uri", "source")
    first = usable.sort("uri").unique(["recording_id", "date"], keep="first")
    found = utterances.join(first.drop("uri"), on=["recording_id", "date"], how="left")
    without_source = found.filter(pl.col("source").is_null()).select("recording_id").unique()
    if without_source.is_empty():
        return found
    elsewhere = pl.concat([usable, _published_elsewhere(lake, without_source, sources)]).sort("date", "uri")
    any_source = elsewhere.unique("recording_id", keep="first").select("recording_id", other="source")
    return (
        found.join(any_source, on="recording_id", how="left")
        .with_columns(source=pl.coalesce("source", "other", pl.lit(tables.UNKNOWN_SOURCE)))
        .drop("other")
    )


def _published_elsewhere(lake: Lake, wanted: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    listed = lake.frame("recordings", tables.RECORDINGS).filter(pl.col("status") == "ok")
    rows = listed.select("recording_id", "date", "uri", "source", "attributes")
    found = rows.join(wanted.lazy(), on="recording_id", how="semi").collect(engine="streaming")
    return recordings_with_sources(found, sources).select("recording_id", "date", "uri", "source")
