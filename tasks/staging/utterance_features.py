"""Whose utterances a date holds: those that wait and those that are published already, with the shard of each."""

import datetime as dt
import threading
from collections import OrderedDict

import numpy as np
import polars as pl
import torch
from torch import Tensor

from data_contracts.schema import tables
from data_contracts.schema.tables import UTTERANCE_KEY
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import history, shard_files
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging.pending import read_pending

_VOICED = pl.col("VoicedSegmentsPerSec") * pl.col("MeanVoicedSegmentLengthSec")  # share of the time

_KEPT = 4  # shards: a model goes over them several times, and each time the store is asked for three files
_shards: OrderedDict[tuple[str, str, dt.date, str], dict[str, pl.DataFrame]] = OrderedDict()
_lock = threading.Lock()


def write_index(run: Run, date: dt.date) -> list[str]:
    """Writes the date's utterances (key, speaker_id, shard, waits) where workers find them; returns their shards."""
    places = ["recording_id", "shard"]
    waiting = read_pending(run).filter("counted", pl.col("date") == date).select(places)
    identities = pl.DataFrame(run.lake.read_parquet(paths.identities(run.id))).select(*UTTERANCE_KEY, "speaker_id")
    waits = identities.join(waiting, on="recording_id", how="inner").with_columns(waits=pl.lit(True))
    held = history.recordings(run.lake, run.feature_version, date).filter(pl.col("status") == "ok")
    others = (
        run.lake.frame("utterances", tables.utterances_schema(run.classes))
        .filter(pl.col("date") == date, pl.col("feature_version") == run.feature_version)
        .select(*UTTERANCE_KEY, "speaker_id")
        .join(waiting.lazy(), on="recording_id", how="anti")
        .join(held.select(places).unique("recording_id", keep="first"), on="recording_id", how="inner")
        .with_columns(waits=pl.lit(False))
        .collect()
    )
    everybody = pl.concat([waits, others]).sort(UTTERANCE_KEY)
    run.lake.write_parquet(paths.utterance_index(run.id, date), everybody.to_arrow())
    return everybody["shard"].unique().sort().to_list()


def load_shard(run: Run, date: dt.date, shard: str, *, afresh: bool) -> tuple[pl.DataFrame, Tensor]:
    """A shard's utterances (key, speaker_id, waits, seconds, voiced_s), and their features (n, n_features) float32.

    The features are those of the emotion model's feature sets, one set behind the other; eGeMAPS for a model that names
    none. They come from the store where they are asked for `afresh`; else of the last few shards that this process read
    for the run.
    """
    own = pl.DataFrame(run.lake.read_parquet(paths.utterance_index(run.id, date))).filter(pl.col("shard") == shard)
    stored = _features(run, date, shard, afresh=afresh)
    segments = stored["segments"].select(*UTTERANCE_KEY, seconds=pl.col("end_s") - pl.col("start_s"))
    voiced = stored["egemaps"].select(*UTTERANCE_KEY, voiced=_VOICED)
    rows = (
        own.join(segments, on=UTTERANCE_KEY)
        .join(voiced, on=UTTERANCE_KEY)
        .with_columns(voiced_s=pl.col("voiced") * pl.col("seconds"))
    )
    rows = rows.unique(UTTERANCE_KEY, keep="first").sort(UTTERANCE_KEY)
    values = [
        _matrix(name, rows.select(UTTERANCE_KEY).join(stored[name], on=UTTERANCE_KEY, how="left"))
        for name in _read_by(run)
    ]
    return rows.select(*UTTERANCE_KEY, "speaker_id", "waits", "seconds", "voiced_s"), torch.from_numpy(
        np.hstack(values)
    )


def _features(run: Run, date: dt.date, shard: str, *, afresh: bool) -> dict[str, pl.DataFrame]:
    """A shard's segments and feature sets, one row an utterance."""
    key = (run.lake.uri, run.id, date, shard)
    with _lock:
        if not afresh and key in _shards:
            return _shards[key]
    names = dict.fromkeys(["segments", "egemaps", *_read_by(run)])
    found = {name: _stored(run, name, date, shard) for name in names}
    with _lock:
        _shards.pop(key, None)
        _shards[key] = found
        while len(_shards) > _KEPT:
            _shards.popitem(last=False)
    return found


def _read_by(run: Run) -> list[str]:
    """The feature sets that the emotion model reads: its own extractor's, those it was trained on, or eGeMAPS."""
    metadata = run.emotion.metadata
    return [metadata["feature_set"]] if "feature_set" in metadata else list(metadata.get("features", ["egemaps"]))


def _stored(run: Run, feature_set: str, date: dt.date, shard: str) -> pl.DataFrame:
    return pl.DataFrame(shard_files.read(run.lake, feature_set, run.feature_version, date, shard)).unique(
        UTTERANCE_KEY, keep="first"
    )


def _matrix(feature_set: str, table: pl.DataFrame) -> np.ndarray:
    if feature_set == "egemaps":
        return np.asarray(table.select(EGEMAPS_NAMES).to_numpy(), np.float32)
    return np.asarray(table[table.columns[-1]].to_numpy(), np.float32)  # one list a row
