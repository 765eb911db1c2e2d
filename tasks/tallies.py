"""What utterances add up to: a speaker, a day."""

import polars as pl

from tasks.identify import KEY

_SPEECH_S = (pl.col("end_s") - pl.col("start_s")).sort_by(KEY).sum()  # in one order: float sums stay the same


def by_speaker(utterances: pl.LazyFrame) -> pl.LazyFrame:
    """first_seen, last_seen, n_utterances and speech_s by speaker_id."""
    return utterances.group_by("speaker_id").agg(
        first_seen=pl.col("date").min(),
        last_seen=pl.col("date").max(),
        n_utterances=pl.len().cast(pl.Int64),
        speech_s=_SPEECH_S,
    )


def by_day(utterances: pl.LazyFrame) -> dict[str, pl.DataFrame]:
    """The rows of `emotion_daily` and `speaker_daily`; utterances without an emotion do not count."""
    scores = [name for name in utterances.collect_schema().names() if name.startswith("score_")]
    told = utterances.filter(pl.col("emotion").is_not_null())
    tally = {"n_utterances": pl.len().cast(pl.Int64), "speech_s": _SPEECH_S}
    best = pl.max_horizontal(scores).sort_by(KEY).mean() if scores else pl.lit(None, pl.Float64)
    return {
        "emotion_daily": told.group_by("date", "emotion")
        .agg(**tally, mean_score=best)
        .collect()
        .sort("date", "emotion"),
        "speaker_daily": told.group_by("date", "speaker_id", "emotion")
        .agg(**tally)
        .collect()
        .sort("date", "speaker_id", "emotion"),
    }
