"""A lake of a few rows, published as runs publish: by merges, with the ledger's row and the pointer."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from data_contracts.schema import feature_sets
from data_contracts.schema.tables import utterances_schema
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import shard_files
from tasks.publication.lock import hold_lock
from tasks.publication.publish import publish_staged
from tasks.run.ledger import Ledger

CLASSES = ("anger", "neutral")


def utterance(recording_id: str, date: dt.date, segment: int = 0, **more: Any) -> dict[str, Any]:
    """A row of `utterances`: two seconds of anger by a voice nobody knows."""
    told = {"start_s": 0.0, "end_s": 2.0, "emotion": "anger", "score_anger": 0.75, "score_neutral": 0.25}
    voice = {"speaker_id": "spk_a", "speaker_score": 0.5, "speaker_known": False}
    made_by = {"emotion_model": "emotion/1", "speaker_model": "speaker/1", "feature_version": "v1"}
    key = {"recording_id": recording_id, "channel": 0, "segment": segment, "date": date}
    return key | told | voice | made_by | more


def publish_night(lake: Lake, run_id: str, utterances: Iterable[dict[str, Any]], **told: Any) -> Ledger:
    """A run that publishes these; `told` is what its ledger says."""
    rows = [row | {"run_id": run_id} for row in utterances]
    table = pa.Table.from_pylist(rows, schema=utterances_schema(CLASSES))
    lake.write_parquet(f"staging/run={run_id}/tables/utterances.parquet", table)
    ledger = Ledger(run_id, "nightly", dt.datetime.now(dt.UTC), verdict="passed", **told)
    ledger.save(lake)
    with hold_lock(lake, run_id) as held:
        publish_staged(held, ledger, newest_versions(lake))
    return ledger


def no_utterances() -> dict[str, pa.Table]:
    """The feature sets of a shard in which nobody speaks, without `recordings`."""
    egemaps, embeddings = feature_sets.egemaps_schema(EGEMAPS_NAMES), feature_sets.embeddings_schema(4)
    schemas = {"segments": feature_sets.SEGMENTS, "egemaps": egemaps, "embeddings": embeddings}
    return {name: schema.empty_table() for name, schema in schemas.items()}


def write_segments(lake: Lake, date: dt.date, shard: str, n_rows: int = 3, *, level_db: float = -20.0) -> None:
    """A shard of one recording, by the shard's name."""
    keys = [pa.array([shard] * n_rows), pa.array([0] * n_rows, pa.int16()), pa.array(range(n_rows), pa.int32())]
    times = [pa.array([float(place) for place in range(n_rows)]), pa.array([place + 0.5 for place in range(n_rows)])]
    levels = pa.array([level_db] * n_rows, pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 4 * n_rows, pa.float16()), 4)
    row = {"uri": shard, "etag": "e", "bytes": 1, "modified": dt.datetime.now(dt.UTC), "tries": 1, "status": "ok"}
    recordings = [row | {"read_at": row["modified"]}]
    tables = {
        "recordings": pa.Table.from_pylist(recordings, schema=feature_sets.RECORDING_FEATURES),
        "segments": pa.table([*keys, *times, levels], schema=feature_sets.SEGMENTS),
        "embeddings": pa.table([*keys, vectors], schema=feature_sets.embeddings_schema(4)),
    }
    shard_files.write_shard(lake, tables, version="v1", date=date, shard=shard, configuration="c")
