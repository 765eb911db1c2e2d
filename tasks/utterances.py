"""Segments, identities and scores of the waiting utterances, joined."""

import polars as pl

from features import store
from tasks.identify import KEY
from tasks.run import Run
from tasks.score import scores_path
from tasks.select import Pending, pending


def utterances_with_scores(run: Run, waiting: Pending) -> pl.DataFrame:
    """The rows of `utterances`, in the order of their keys, each with every version that made it."""
    schema = run.utterances
    if not waiting.shards:
        return pl.DataFrame(schema.empty_table())
    counted = pending(run).filter("counted").select("recording_id", "shard", "date")
    parts = []
    for date, shards in waiting.shards.items():
        for shard in shards:
            ids = counted.filter(pl.col("date") == date, pl.col("shard") == shard).select("recording_id")
            segments = pl.DataFrame(store.read(run.lake, "segments", run.feature_version, date, shard))
            scores = pl.DataFrame(run.lake.read_parquet(scores_path(run, date, shard)))
            rows = segments.join(ids, on="recording_id", how="semi").join(scores, on=KEY, how="left")
            parts.append(rows.with_columns(date=pl.lit(date)))
    identities = pl.DataFrame(run.lake.read_parquet(f"{run.staging}/identities.parquet"))
    return (
        pl.concat(parts)
        .unique(KEY, keep="first")
        .join(identities, on=KEY, how="left")
        .with_columns(
            emotion=_likeliest(run.classes),
            emotion_model=pl.lit(run.emotion.label),
            speaker_model=pl.lit(run.speaker.label),
            feature_version=pl.lit(run.feature_version),
            run_id=pl.lit(run.id),
        )
        .select(schema.names)
        .sort(KEY)
    )


def _likeliest(classes: list[str]) -> pl.Expr:
    """Null where all scores are, and for a model that tells dimensions only."""
    if not classes:
        return pl.lit(None, pl.String)
    best = pl.concat_list([f"score_{label}" for label in classes]).list.arg_max()
    return pl.lit(pl.Series(classes)).gather(best)
