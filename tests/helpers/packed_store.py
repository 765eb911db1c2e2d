"""A day of shards in the feature store, and all that the store and plain readers say of it."""

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import history, shard_files
from helpers.attempts import attempts

DAY = dt.date(2026, 11, 21)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SETS = ("segments", "egemaps", "embeddings", "recordings")


def write_shard(
    lake: Lake, shard: str, n_rows: int = 3, *, tries: int = 1, configuration: str = "c", **more: Any
) -> None:
    """A shard of one recording; `more` goes into its row of recordings."""
    random = np.random.default_rng(int(shard, 16))
    row = {"uri": shard, "etag": "e", "bytes": 1, "modified": NOON, "read_at": NOON, "tries": tries, "status": "ok"}
    keys = [pa.array([shard] * n_rows), pa.array([0] * n_rows, pa.int16()), pa.array(range(n_rows), pa.int32())]
    functionals = random.normal(size=(len(EGEMAPS_NAMES), n_rows)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(random.normal(size=4 * n_rows).astype(np.float16)), 4)
    numbers = [pa.array(random.normal(size=n_rows)) for _ in range(2)]
    tables = {
        "recordings": pa.Table.from_pylist([row | more], schema=feature_sets.RECORDING_FEATURES),
        "segments": pa.table([*keys, *numbers, pa.array([0.0] * n_rows, pa.float32())], schema=feature_sets.SEGMENTS),
        "egemaps": pa.table([*keys, *functionals], schema=feature_sets.egemaps_schema(EGEMAPS_NAMES)),
        "embeddings": pa.table([*keys, vectors], schema=feature_sets.embeddings_schema(4)),
    }
    shard_files.write_shard(lake, tables, version="v1", date=DAY, shard=shard, configuration=configuration)


def files_of(lake: Lake, feature_set: str = "recordings") -> list[str]:
    return lake.names(shard_files.folder(feature_set, "v1", DAY))


def contents(lake: Lake) -> dict[str, Any]:
    """Everything that the store says of the day."""
    ids = shard_files.shards(lake, "v1", DAY)
    return {
        "shards": ids,
        "done": [shard_files.is_done(lake, "v1", DAY, shard) for shard in ids],
        "dates": shard_files.dates(lake, "v1"),
        "recordings": history.recordings(lake, "v1", DAY).collect().to_dicts(),
        "attempts": attempts(lake, "v1", DAY),
        "members": sorted(history.shard_members(lake, "v1", DAY).rows()),
        "rows": {
            (name, shard): exact_table(shard_files.read(lake, name, "v1", DAY, shard)) for name in SETS for shard in ids
        },
    }


def exact_table(table: pa.Table) -> tuple[pa.Schema, dict[bytes, bytes], list[dict[str, Any]]]:
    return table.schema, table.schema.metadata, table.to_pylist()


def read_plainly(lake: Lake, feature_set: str) -> tuple[list[tuple[Any, ...]], pl.DataFrame, int]:
    """What readers that know nothing of packs see: DuckDB's columns, Polars' rows, DuckDB's count."""
    files = lake.uri_of("features", feature_set, "version=*", "date=*", "*.parquet")
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
    columns = list(zip(duck.columns, map(str, duck.types), strict=True))
    frame = pl.scan_parquet(files, hive_partitioning=True).collect()
    order = [name for name in ("uri", "recording_id", "segment") if name in frame.columns]
    return columns, frame.sort(order), duck.count("*").fetchall()[0][0]
