"""Voices in staging: embeddings of the pending utterances, and centroids of re-enrolled speakers."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.schema.tables import UTTERANCE_KEY, utterances_schema
from features.store import shard_files
from tasks.run import staging_paths as paths
from tasks.run.context import Run


def read_voices(run: Run, counted: pl.DataFrame, date: dt.date, shards: list[str]) -> pl.DataFrame:
    """Return a date's pending utterances with their embeddings and times, sorted by key."""
    wanted = counted.filter(pl.col("date") == date).select("recording_id", "shard")
    parts = []
    for shard in shards:
        ids = wanted.filter(pl.col("shard") == shard).select("recording_id")
        tables = [
            shard_files.read(run.lake, name, run.feature_version, date, shard) for name in ("segments", "embeddings")
        ]
        segments, embeddings = (pl.DataFrame(table).join(ids, on="recording_id", how="semi") for table in tables)
        parts.append(segments.join(embeddings, on=UTTERANCE_KEY, how="inner"))
    return pl.concat(parts).unique(UTTERANCE_KEY, keep="first").sort(UTTERANCE_KEY)


def no_identities() -> pl.DataFrame:
    """Return no rows, with the columns of `identities.parquet`."""
    schema = utterances_schema(())
    columns = [*UTTERANCE_KEY, "speaker_id", "speaker_reason", "speaker_score", "speaker_known"]
    return pl.DataFrame(pa.schema([schema.field(name) for name in columns]).empty_table())


def read_reenrolled(run: Run) -> dict[str, np.ndarray]:
    """Return centroids, (dim,), by speaker_id, as `reenroll` wrote them."""
    rows = run.lake.read_parquet(paths.reenrolled(run.id)).to_pylist()
    return {row["speaker_id"]: np.asarray(row["centroid"], np.float32) for row in rows}
