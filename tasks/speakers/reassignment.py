"""Utterances that change their speaker: their new rows, and the daily tables of their dates."""

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schema.tables import EMOTION_DAILY, RECORDINGS, SPEAKER_DAILY, utterances_schema
from features.corpus.sources import Sources
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily
from tasks.publication.manual_change import ManualChange
from tasks.staging import projection

_DAYS_AT_A_TIME = 31
_NO_RECORDINGS = pl.DataFrame(RECORDINGS.empty_table())


def published_utterances(lake: Lake) -> pl.LazyFrame:
    """Return the published table."""
    return lake.frame("utterances", utterances_schema(()))


def utterances_of(lake: Lake, speaker_ids: list[str]) -> pl.LazyFrame:
    """Return the published utterances of these speakers."""
    return published_utterances(lake).filter(pl.col("speaker_id").is_in(speaker_ids))


def reassign(speaker_ids: list[str], new_id: str, *, known: bool) -> dict[str, pl.Expr]:
    """Return the columns that give the utterances of `speaker_ids` to `new_id`, and leave the others as they are."""
    is_theirs = pl.col("speaker_id").is_in(speaker_ids)
    columns = {"speaker_id": pl.lit(new_id), "speaker_known": pl.lit(known)}
    return {name: pl.when(is_theirs).then(value).otherwise(pl.col(name)) for name, value in columns.items()}


def with_utterances(
    lake: Lake, tables: dict[str, pa.Table], changed: pl.DataFrame, after: pl.LazyFrame
) -> ManualChange:
    """Return `tables`, the changed utterances, and the daily tables of their dates.

    `after` are all utterances as they will stand. The dates are added up some at a time, in bounded memory.
    """
    if changed.is_empty():
        return ManualChange(tables)
    days = changed["date"].unique().sort()
    emotions, speakers = [], []
    for some_days in (days[first : first + _DAYS_AT_A_TIME] for first in range(0, len(days), _DAYS_AT_A_TIME)):
        rows = after.filter(pl.col("date").is_in(some_days.implode())).collect()
        recordings = projection.recordings(lake, some_days, _NO_RECORDINGS, Sources())
        emotions.append(emotion_daily(projection.utterances_with_sources(lake, rows, recordings, Sources())))
        speakers.append(speaker_daily(rows.lazy()).collect())
    daily = {
        "emotion_daily": pl.concat(emotions).to_arrow().cast(EMOTION_DAILY),
        "speaker_daily": pl.concat(speakers).to_arrow().cast(SPEAKER_DAILY),
    }
    return ManualChange({**tables, "utterances": changed.to_arrow(), **daily}, days=tuple(days))
