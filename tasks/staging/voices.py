"""Voices in staging: embeddings of the pending utterances, and centroids of re-enrolled speakers."""

import contextlib
import datetime as dt
from collections.abc import Iterable

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.errors import DamagedFile
from data_contracts.schema.tables import SPEAKERS, UTTERANCE_KEY, utterances_schema
from features.store import shard_files
from models.speaker.linking import Voiceprint
from tasks.run import staging_paths as paths
from tasks.run.context import Run


def read_voices(run: Run, counted: pl.DataFrame, date: dt.date, shards: list[str]) -> pl.DataFrame:
    """Return all utterances of a date in the store, with embeddings and times, sorted by key; the pending ones `waits`.

    Published ones are among them, so that a date has one centre whichever of its recordings a run looks at; where
    their features are damaged, the date's centre is that of the others.
    """
    wanted = counted.filter(pl.col("date") == date).select("recording_id", "shard", waits=pl.lit(True))
    parts = []
    for shard in sorted({*shards, *shard_files.shards(run.lake, run.feature_version, date)}):
        with contextlib.nullcontext() if shard in shards else contextlib.suppress(DamagedFile):
            segments, embeddings = (
                pl.DataFrame(shard_files.read(run.lake, name, run.feature_version, date, shard))
                for name in ("segments", "embeddings")
            )
            rows = segments.join(embeddings, on=UTTERANCE_KEY, how="inner").with_columns(shard=pl.lit(shard))
            parts.append(rows.join(wanted, on=["recording_id", "shard"], how="left").drop("shard"))
    rows = pl.concat(parts).with_columns(pl.col("waits").fill_null(False)).sort("waits", descending=True)
    return rows.unique(UTTERANCE_KEY, keep="first").sort(UTTERANCE_KEY)


def no_identities() -> pl.DataFrame:
    """Return no rows, with the columns of `identities.parquet`."""
    schema = utterances_schema(())
    columns = [*UTTERANCE_KEY, "speaker_id", "speaker_reason", "speaker_score", "speaker_known"]
    return pl.DataFrame(pa.schema([schema.field(name) for name in columns]).empty_table())


def voiceprint_table(voices: Iterable[Voiceprint]) -> pa.Table:
    """Return speaker_id, centroid and centroid_s of voiceprints."""
    rows = [
        {"speaker_id": voice.speaker_id, "centroid": voice.centroid.tolist(), "centroid_s": voice.speech_s}
        for voice in voices
    ]
    columns = [SPEAKERS.field(name) for name in ("speaker_id", "centroid", "centroid_s")]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


def read_reenrolled(run: Run) -> dict[str, Voiceprint]:
    """Return the voiceprints by speaker_id, as `reenroll` wrote them."""
    rows = run.lake.read_parquet(paths.reenrolled(run.id)).to_pylist()
    return {
        row["speaker_id"]: Voiceprint(
            row["speaker_id"], np.asarray(row["centroid"], np.float32), known=True, speech_s=row["centroid_s"]
        )
        for row in rows
    }
