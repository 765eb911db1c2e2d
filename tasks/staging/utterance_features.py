"""Index of a date's utterances by shard, pending and published ones, and their features."""

import datetime as dt

import numpy as np
import polars as pl
import torch
from torch import Tensor

from data_contracts.schema import tables
from data_contracts.schema.feature_sets import FEATURE_SETS
from data_contracts.schema.tables import UTTERANCE_KEY
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import history, shard_files
from models.emotion.speaker_adaptation import NO_SPEAKER
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging.pending import read_pending
from tasks.staging.shard_cache import Frames, ShardCache

_VOICED_SHARE = pl.col("VoicedSegmentsPerSec") * pl.col("MeanVoicedSegmentLengthSec")

_cache = ShardCache()  # each read of a shard asks the store for three files


def write_index(run: Run, date: dt.date) -> list[str]:
    """Write the date's utterances (key, speaker_id, shard, waits) for the workers. Returns their shards.

    `waits` is true for pending utterances, false for those that are published already.
    """
    shard_columns = ["recording_id", "shard"]
    pending = read_pending(run).filter("counted", pl.col("date") == date).select(shard_columns)
    identities = pl.DataFrame(run.lake.read_parquet(paths.identities(run.id))).select(*UTTERANCE_KEY, "speaker_id")
    own = identities.join(pending, on="recording_id", how="inner").with_columns(waits=pl.lit(True))
    stored = history.recordings(run.lake, run.feature_version, date).filter(pl.col("status") == "ok")
    published = (
        run.lake.frame("utterances", tables.utterances_schema(run.classes))
        .filter(pl.col("date") == date, pl.col("feature_version") == run.feature_version)
        .select(*UTTERANCE_KEY, "speaker_id")
        .join(pending.lazy(), on="recording_id", how="anti")
        .join(stored.select(shard_columns).unique("recording_id", keep="first"), on="recording_id", how="inner")
        .with_columns(waits=pl.lit(False))
        .collect()
    )
    index = pl.concat([own, published]).sort(UTTERANCE_KEY)
    run.lake.write_parquet(paths.utterance_index(run.id, date), index.to_arrow())
    return index["shard"].unique().sort().to_list()


def load_shard(run: Run, date: dt.date, shard: str, *, use_cache: bool) -> tuple[pl.DataFrame, Tensor]:
    """Return a shard's utterances (key, speaker_id, waits, seconds, voiced_s), and their features, float32.

    speaker_id is `NO_SPEAKER` where nobody is known.

    The features, (n, n_features), are those of the emotion model's feature sets, concatenated; eGeMAPS for a model that
    names none. With `use_cache` they may come from the last few shards that this process read for the run.
    """
    index = pl.DataFrame(run.lake.read_parquet(paths.utterance_index(run.id, date))).filter(pl.col("shard") == shard)
    stored = _read_features(run, date, shard, use_cache=use_cache)
    segments = stored["segments"].select(*UTTERANCE_KEY, seconds=pl.col("end_s") - pl.col("start_s"))
    voiced = stored["egemaps"].select(*UTTERANCE_KEY, voiced_share=_VOICED_SHARE)
    rows = (
        index.join(segments, on=UTTERANCE_KEY)
        .join(voiced, on=UTTERANCE_KEY)
        .with_columns(pl.col("speaker_id").fill_null(NO_SPEAKER), voiced_s=pl.col("voiced_share") * pl.col("seconds"))
        .unique(UTTERANCE_KEY, keep="first")
        .sort(UTTERANCE_KEY)
        .select(*UTTERANCE_KEY, "speaker_id", "waits", "seconds", "voiced_s")
    )
    keys = rows.select(UTTERANCE_KEY)
    matrices = [_matrix(name, keys.join(stored[name], on=UTTERANCE_KEY, how="left")) for name in _feature_sets(run)]
    return rows, torch.from_numpy(np.hstack(matrices))


def _read_features(run: Run, date: dt.date, shard: str, *, use_cache: bool) -> Frames:
    """A shard's segments and feature sets, one row an utterance."""
    key = (run.lake.uri, run.id, date, shard)
    frames = _cache.get(key) if use_cache else None
    if frames is None:
        names = dict.fromkeys(["segments", "egemaps", *_feature_sets(run)])
        frames = {name: _read_feature_set(run, name, date, shard) for name in names}
        _cache.put(key, frames)
    return frames


def _feature_sets(run: Run) -> list[str]:
    """The emotion model's inputs: its own extractor's set, those it was trained on, or eGeMAPS."""
    metadata = run.emotion.metadata
    if "feature_set" in metadata:
        return [metadata["feature_set"]]
    return sorted(metadata.get("features", ["egemaps"]), key=FEATURE_SETS.index)  # registries keep no order


def _read_feature_set(run: Run, feature_set: str, date: dt.date, shard: str) -> pl.DataFrame:
    rows = pl.DataFrame(shard_files.read(run.lake, feature_set, run.feature_version, date, shard))
    return rows.unique(UTTERANCE_KEY, keep="first")


def _matrix(feature_set: str, table: pl.DataFrame) -> np.ndarray:
    if feature_set == "egemaps":
        return np.asarray(table.select(EGEMAPS_NAMES).to_numpy(), np.float32)
    return np.asarray(table[table.columns[-1]].to_numpy(), np.float32)  # one list a row
