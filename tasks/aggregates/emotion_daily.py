"""Sums of utterances by speaker, and the tables emotion_daily and speaker_daily."""

import polars as pl

from data_contracts.schema.tables import FORGOTTEN_ID, UNKNOWN_KIND, UTTERANCE_KEY
from tasks.aggregates.intervals import mean_by

_SPEECH_S = (pl.col("end_s") - pl.col("start_s")).sort_by(UTTERANCE_KEY).sum()  # in one order: float sums stay the same
_TOTALS = {"n_utterances": pl.len().cast(pl.Int64), "speech_s": _SPEECH_S}
_HAS_EMOTION = pl.col("emotion").is_not_null()
_HAS_SPEAKER = pl.col("speaker_id").is_not_null()
_SPEAKER_KIND = (
    pl.when(~_HAS_SPEAKER)
    .then(pl.lit(UNKNOWN_KIND))
    .when(pl.col("speaker_id") == FORGOTTEN_ID)
    .then(pl.lit(FORGOTTEN_ID))
    .when("speaker_known")
    .then(pl.lit("enrolled"))
    .otherwise(pl.lit("found"))
)


def speaker_sums(utterances: pl.LazyFrame) -> pl.LazyFrame:
    """Return first_seen, last_seen, n_utterances and speech_s by speaker_id, of utterances that have one."""
    return (
        utterances.filter(_HAS_SPEAKER)
        .group_by("speaker_id")
        .agg(first_seen=pl.col("date").min(), last_seen=pl.col("date").max(), **_TOTALS)
    )


def emotion_daily(utterances: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the table, from utterances with their `source`; those without an emotion do not count.

    mean_score is the mean score of the emotion that the model chose.
    """
    by = ["date", "source", "speaker_kind", "emotion"]
    scores = [name for name in utterances.columns if name.startswith("score_")]
    best = pl.max_horizontal(scores) if scores else pl.lit(None, pl.Float64)
    labelled = utterances.filter(_HAS_EMOTION).sort(UTTERANCE_KEY).with_columns(speaker_kind=_SPEAKER_KIND, best=best)
    means = mean_by(labelled, by, "best", cluster="recording_id")
    scores_by = means.rename({"mean": "mean_score", "low": "score_low", "high": "score_high"})
    return labelled.group_by(by).agg(**_TOTALS).join(scores_by, on=by, how="left").sort(by)


def speaker_daily(utterances: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows of the table; utterances without an emotion or a speaker do not count."""
    by = ["date", "speaker_id", "emotion"]
    return utterances.filter(_HAS_EMOTION, _HAS_SPEAKER).group_by(by).agg(**_TOTALS).sort(by)
