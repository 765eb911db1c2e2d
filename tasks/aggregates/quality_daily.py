"""Quality of a day's recordings, and counts of its rejects by reason, by source."""

import polars as pl

from data_contracts.rejects import UnscoredReason
from data_contracts.schema.tables import QUALITY_MEASURES

_BY = ["date", "source"]
_PERCENTILES = {"_p10": 0.1, "": 0.5, "_p90": 0.9}


def quality_daily(recordings: pl.DataFrame, utterances: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the table. Every object counts, a copy under another name too; its utterances once.

    Percentiles are between the two nearest values, of the usable recordings.
    """
    usable = pl.col("status") == "ok"
    percentiles = {
        f"{name}{suffix}": pl.col(name).filter(usable).cast(pl.Float64).quantile(level, "linear")
        for name in QUALITY_MEASURES
        for suffix, level in _PERCENTILES.items()
    }
    by_source = (
        recordings.sort("uri")
        .group_by(_BY)
        .agg(
            n_recordings=pl.len().cast(pl.Int64),
            n_ok=usable.sum().cast(pl.Int64),
            n_rejected=(~usable).sum().cast(pl.Int64),
            seconds=pl.col("seconds").filter(usable).sum(),
            speech_s=pl.col("speech_s").filter(usable).sum(),
            n_truncated=(pl.col("truncated_s").filter(usable) > 0).sum().cast(pl.Int64),
            truncated_s=pl.col("truncated_s").filter(usable).sum(),
            clipped_share=pl.col("clipped_share").filter(usable).cast(pl.Float64).mean(),
            **percentiles,
        )
    )
    is_too_short = pl.col("emotion_reason") == str(UnscoredReason.TOO_LITTLE_SPEECH)
    utterance_counts = utterances.group_by(_BY).agg(
        n_utterances=pl.len().cast(pl.Int64), n_abstained=is_too_short.sum().cast(pl.Int64)
    )
    counts = (
        *("n_recordings", "n_ok", "n_rejected", "n_truncated", "truncated_s"),
        *("seconds", "speech_s", "n_utterances", "n_abstained"),
    )
    return (
        by_source.join(
            utterance_counts, on=_BY, how="full", coalesce=True
        )  # utterances may outlive the name of their recording
        .with_columns(pl.col(counts).fill_null(0))
        .sort(_BY)
    )


def rejects_daily(recordings: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the table: the number of rejected recordings of a source, by reason."""
    by = [*_BY, "reason"]
    return recordings.filter(pl.col("status") == "rejected").group_by(by).agg(n=pl.len().cast(pl.Int64)).sort(by)
