"""Rows of `utterances` to stage: segments, identities and scores of the pending utterances, joined."""

import contextlib
import json

import polars as pl

from data_contracts.channel_names import channel_names
from data_contracts.schema.tables import UTTERANCE_KEY
from features.store import shard_files
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging.pending import PendingRecordings, read_pending


def utterances_with_scores(run: Run, pending: PendingRecordings) -> pl.DataFrame:
    """Return the rows of `utterances` sorted by key, each with every version that made it."""
    schema = run.utterances
    if not pending.shards:
        return pl.DataFrame(schema.empty_table())
    counted = read_pending(run).filter("counted")
    parts = []
    for date, shards in pending.shards.items():
        for shard in shards:
            ids = counted.filter(pl.col("date") == date, pl.col("shard") == shard).select("recording_id")
            segments = pl.DataFrame(shard_files.read(run.lake, "segments", run.feature_version, date, shard))
            scores = pl.DataFrame(run.lake.read_parquet(paths.scores(run.id, date, shard)))
            rows = segments.join(ids, on="recording_id", how="semi").join(scores, on=UTTERANCE_KEY, how="left")
            parts.append(rows.with_columns(date=pl.lit(date)))
    identities = pl.DataFrame(run.lake.read_parquet(paths.identities(run.id)))
    return (
        pl.concat(parts)
        .unique(UTTERANCE_KEY, keep="first")
        .join(identities, on=UTTERANCE_KEY, how="left")
        .join(named_channels(run, counted), on=["recording_id", "channel"], how="left")
        .with_columns(
            emotion=_likeliest_emotion(run.classes),
            emotion_model=pl.lit(run.emotion.label),
            emotion_prior=pl.lit(run.emotion_prior, pl.String),
            speaker_model=pl.lit(run.speaker.label),
            feature_version=pl.lit(run.feature_version),
            run_id=pl.lit(run.id),
        )
        .select(schema.names)
        .sort(UTTERANCE_KEY)
    )


def named_channels(run: Run, recordings: pl.DataFrame) -> pl.DataFrame:
    """Return recording_id, channel and channel_name of the named channels: by the manifest, else by the settings.

    No names in a mix of all channels, nor in a recording of one channel where several are named: it may be any of them.
    """
    is_mixed = run.config.audio.channels == "mix"
    rows = [] if is_mixed else recordings.select("recording_id", "n_channels", "attributes").iter_rows()
    return pl.DataFrame(
        [
            (recording_id, channel, name)
            for recording_id, n_channels, attributes in rows
            for channel, name in enumerate(_channel_names(run, n_channels, attributes))
            if name
        ],
        schema={"recording_id": pl.String, "channel": pl.Int16, "channel_name": pl.String},
        orient="row",
    )


def _channel_names(run: Run, n_channels: int, attributes: str | None) -> tuple[str, ...]:
    """Names that an older manifest spells in another form count as none."""
    own: tuple[str, ...] = ()
    if attributes and "channel_names" in attributes:
        with contextlib.suppress(ValueError):
            own = channel_names(json.loads(attributes).get("channel_names", ""))
    names = own or run.channel_names
    return () if n_channels == 1 and len(names) > 1 else names


def _likeliest_emotion(classes: list[str]) -> pl.Expr:
    """Null where all scores are null, and for a model that predicts dimensions only."""
    if not classes:
        return pl.lit(None, pl.String)
    best = pl.concat_list([f"score_{label}" for label in classes]).list.arg_max()
    return pl.lit(pl.Series(classes)).gather(best)
