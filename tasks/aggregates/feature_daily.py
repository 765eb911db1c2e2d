"""Histograms of a date's features and the sum of its embeddings: drift is measured on them, weeks later too.

Shards are streamed: in memory are a few of them and one table of counts.
"""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from data_contracts.schema.tables import EMBEDDING, FEATURE_DAILY, UTTERANCE_KEY
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import shard_files
from models.drift import histogram
from tasks.run.context import Run

_N_PARALLEL = 4  # shards that are read at a time
_EMPTY = pl.DataFrame(FEATURE_DAILY.empty_table())


def feature_daily(run: Run, days: pl.Series, after: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the table for `days`, from the utterances in `after` of the run's own feature version."""
    utterances = after.filter(pl.col("feature_version") == run.feature_version).select(*UTTERANCE_KEY, "date")
    parts = utterances.partition_by("date", as_dict=True)
    frames = [_date_rows(run, date, parts[date,].select(UTTERANCE_KEY)) for date in days if (date,) in parts]
    return pl.concat([_EMPTY, *frames])


def _date_rows(run: Run, date: dt.date, utterances: pl.DataFrame) -> pl.DataFrame:
    counts = np.zeros((len(EGEMAPS_NAMES), histogram.N_BUCKETS), np.int64)
    total, n_utterances, n_recordings = np.zeros(1), 0, 0
    for features, embeddings, n_read in _iter_shards(run, date, utterances):
        counts += histogram.bucket_counts(features)
        total = total + embeddings.sum(axis=0, dtype=np.float64)
        n_utterances += len(features)
        n_recordings += n_read
    if not n_utterances:
        return _EMPTY
    sparse = [histogram.to_sparse(row) for row in counts]
    columns = {"buckets": [buckets for buckets, _ in sparse], "counts": [n for _, n in sparse]}
    sketches = pl.DataFrame({"feature": EGEMAPS_NAMES, **columns})
    voices = pl.DataFrame({"feature": [EMBEDDING], "total": [total]})
    rows = pl.concat([sketches, voices], how="diagonal").with_columns(
        date=pl.lit(date),
        feature_version=pl.lit(run.feature_version),
        n_recordings=pl.lit(n_recordings),
        n_utterances=pl.lit(n_utterances),
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in _EMPTY.schema.items())


def _iter_shards(run: Run, date: dt.date, utterances: pl.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield features (n, 88), embeddings (n, dim) and the number of recordings of each shard; an utterance once."""
    listed = shard_files.rows(run.lake, run.feature_version, date, ["recording_id", "status"])
    places = listed.filter(pl.col("status") == "ok").sort("shard").unique("recording_id", keep="first")
    placed = utterances.join(places.select("recording_id", "shard"), on="recording_id")
    parts = sorted(
        (str(shard), rows.select(UTTERANCE_KEY))
        for (shard,), rows in placed.partition_by("shard", as_dict=True).items()
    )
    with ThreadPoolExecutor(_N_PARALLEL, thread_name_prefix="sketch") as pool:
        for first in range(0, len(parts), _N_PARALLEL):  # what is read waits in memory
            yield from pool.map(lambda part: _read_shard(run, date, *part), parts[first : first + _N_PARALLEL])


def _read_shard(run: Run, date: dt.date, shard: str, utterances: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, int]:
    features, embeddings = (
        pl.DataFrame(shard_files.read(run.lake, name, run.feature_version, date, shard))
        .unique(UTTERANCE_KEY, keep="first")
        .join(utterances, on=UTTERANCE_KEY, how="semi")
        .sort(UTTERANCE_KEY)
        for name in ("egemaps", "embeddings")
    )
    vectors = np.asarray(embeddings["embedding"].to_numpy(), np.float32)
    return features.select(EGEMAPS_NAMES).to_numpy(), vectors, features["recording_id"].n_unique()
