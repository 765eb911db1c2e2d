"""The tables of some dates as they will stand once what is staged is published, with the source of every row."""

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schema import tables
from data_contracts.schema.tables import QUALITY_MEASURES, UTTERANCE_KEY
from features.corpus.sources import Sources

_COLUMNS = (
    *("uri", "recording_id", "date", "source", "attributes", "status", "reason"),
    *("seconds", "speech_s", "clipped_share", *QUALITY_MEASURES),
)


def utterances(
    lake: Lake, schema: pa.Schema, days: pl.Series, staged: pl.DataFrame, gone: pl.DataFrame
) -> pl.DataFrame:
    """The published utterances of `days` but those that are staged or `gone`, and the staged."""
    published = lake.frame("utterances", schema).filter(pl.col("date").is_in(days.implode()))
    kept = published.join(
        pl.concat([staged.select(UTTERANCE_KEY), gone.select(UTTERANCE_KEY)]).lazy(), on=UTTERANCE_KEY, how="anti"
    ).collect()
    return pl.concat([kept, staged], how="diagonal")


def recordings(lake: Lake, days: pl.Series, staged: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """A few columns of the recordings of `days`; what was published before there were sources gets its source."""
    published = (
        lake.frame("recordings", tables.RECORDINGS).filter(pl.col("date").is_in(days.implode())).select(_COLUMNS)
    )
    kept = published.join(staged.lazy().select("uri"), on="uri", how="anti").collect()
    rows = pl.concat(
        [kept, staged.filter(pl.col("date").is_in(days.implode())).select(_COLUMNS)], how="vertical_relaxed"
    )
    return recordings_with_sources(rows, sources).drop("attributes")


def recordings_with_sources(recordings: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """`source` where a row has none yet; needs uri, date and attributes."""
    rows = recordings.select("uri", "date", "attributes").iter_rows()
    named = pl.Series("source", [sources.source_of(*row) for row in rows], pl.String)
    if "source" not in recordings.columns:
        return recordings.with_columns(named)
    return recordings.with_columns(source=pl.col("source").fill_null(named))


def utterances_with_sources(
    lake: Lake, utterances: pl.DataFrame, recordings: pl.DataFrame, sources: Sources
) -> pl.DataFrame:
    """`utterances` with the `source` of the recording under whose name they are kept: its first on their date.

    Where that name went to another content, of any that has theirs; `recordings` are those of the dates.
    """
    usable = recordings.filter(pl.col("status") == "ok").select("recording_id", "date", "uri", "source")
    first = usable.sort("uri").unique(["recording_id", "date"], keep="first")
    found = utterances.join(first.drop("uri"), on=["recording_id", "date"], how="left")
    astray = found.filter(pl.col("source").is_null()).select("recording_id").unique()
    if astray.is_empty():
        return found
    elsewhere = pl.concat([usable, _published_elsewhere(lake, astray, sources)]).sort("date", "uri")
    any_of_them = elsewhere.unique("recording_id", keep="first").select("recording_id", other="source")
    return (
        found.join(any_of_them, on="recording_id", how="left")
        .with_columns(source=pl.coalesce("source", "other", pl.lit(tables.UNKNOWN_SOURCE)))
        .drop("other")
    )


def _published_elsewhere(lake: Lake, wanted: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    listed = lake.frame("recordings", tables.RECORDINGS).filter(pl.col("status") == "ok")
    rows = listed.select("recording_id", "date", "uri", "source", "attributes")
    found = rows.join(wanted.lazy(), on="recording_id", how="semi").collect(engine="streaming")
    return recordings_with_sources(found, sources).select("recording_id", "date", "uri", "source")
