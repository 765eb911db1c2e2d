"""Speakers of a date: who is too short has none, and a date has one centre, whichever of its recordings wait."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.runs import make_run, model_ref
from polars.testing import assert_frame_equal

from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from data_contracts.schema.tables import SPEAKERS
from features.store import shard_files
from models.speaker.log_odds import LogOdds
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.identify import identify
from tasks.staging.pending import PendingRecordings
from tasks.staging.voices import voiceprint_table

DAY, DIM = dt.date(2026, 11, 21), 32
SHARDS = {"00": range(12), "01": range(12, 24)}
SECONDS = np.where(np.arange(24) % 6 == 5, 0.6, 4.0)
LINE = LogOdds(1.0, (-8.0, 20.0, 0.0, 0.0, 0.0))


@pytest.fixture
def night() -> np.ndarray:
    """(24, DIM): eight voices, each in a recording of the first shard and in two of the second; one room."""
    random = np.random.default_rng(3)
    voices = random.normal(size=(8, DIM)) / np.sqrt(DIM)
    heard = voices[np.arange(24) % 8] + 0.02 * random.normal(size=(24, DIM)) + np.eye(DIM)[0]
    return heard / np.linalg.norm(heard, axis=1, keepdims=True)


@pytest.fixture
def run(tmp_path, night) -> Run:
    told = {
        "threshold": 0.5,
        "calibration": [10.0, -5.0],
        "log_odds": LINE.as_dict(),
        "centre": [0.6, *[0.0] * (DIM - 1)],
    }
    run = make_run(Lake(str(tmp_path)), DAY, speaker=model_ref("speaker", dim=DIM, extractor_digest="e1", **told))
    for shard, rows in SHARDS.items():
        keys = [
            pa.array([f"{row:032x}" for row in rows]),
            pa.array([0] * 12, pa.int16()),
            pa.array([0] * 12, pa.int32()),
        ]
        times = [pa.array([0.0] * 12), pa.array(SECONDS[rows]), pa.array([-20.0] * 12, pa.float32())]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(night[rows].ravel().astype(np.float16)), DIM)
        tables = {
            "recordings": feature_sets.RECORDING_FEATURES.empty_table(),
            "segments": pa.table([*keys, *times], schema=feature_sets.SEGMENTS),
            "embeddings": pa.table([*keys, vectors], schema=feature_sets.embeddings_schema(DIM)),
        }
        shard_files.write_shard(run.lake, tables, version="v1", date=DAY, shard=shard, configuration="c")
    run.lake.write_parquet(paths.reenrolled(run.id), voiceprint_table([]))
    return run


def _identified(run: Run, *shards: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run the stage over some shards. Returns identities and voices."""
    rows = [(f"{row:032x}", shard, DAY, True) for shard in shards for row in SHARDS[shard]]
    pending = pl.DataFrame(rows, schema=["recording_id", "shard", "date", "counted"], orient="row")
    run.lake.write_parquet(paths.pending(run.id), pending.to_arrow())
    identify.fn(run, PendingRecordings(len(rows), {DAY: list(shards)}, {}))
    return tuple(pl.DataFrame(run.lake.read_parquet(path(run.id))) for path in (paths.identities, paths.voices))


def test_too_short_to_found_anybody(run):
    identities, voices = _identified(run, "00")
    nobody = identities.filter(pl.col("speaker_id").is_null())
    assert identities["speaker_reason"].null_count() == 11
    assert nobody["speaker_reason"].to_list() == ["too_little_speech"] * len(nobody)
    assert nobody["speaker_score"].null_count() == len(nobody) == 1  # the other short one is of somebody's voice
    assert len(voices) == 8 - 1
    assert voices["centroid_s"].min() == 4.0


def test_late_recordings_are_compared_as_if_they_had_not_been_late(run):
    """The centre is that of all the date's voices in the store, not of those that wait."""
    whole, voices = _identified(run, "00", "01")
    assert whole["speaker_id"].n_unique() == 8
    rows = [{"name": name, "kind": "found", "extractor": "e1", "sources": []} | row for name, row in _rows(voices)]
    filled = [row | {"n_utterances": 1, "speech_s": 1.0, "run_id": "r0"} for row in rows]
    write_deltalake(run.lake.uri_of("analytics", "speakers"), pa.Table.from_pylist(filled, schema=SPEAKERS))
    late, founded = _identified(run, "01")
    assert founded.is_empty()
    keys = whole["recording_id"].is_in(late["recording_id"].implode())
    assert_frame_equal(late.sort("recording_id"), whole.filter(keys).sort("recording_id"))


def _rows(voices: pl.DataFrame) -> list[tuple[str, dict]]:
    return [(row["speaker_id"], row) for row in voices.to_dicts()]
