"""Index of a pack: its shards and their row groups, read from the Parquet footer alone.

A pack is one Parquet file that holds many shards, a row group each (`features.store.packs` writes them).
"""

import functools
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.lake.damage import parsing
from data_contracts.lake.tables import Tables

INDEX = b"undertone.shards"
_TAIL_BYTES = 1 << 16


@functools.lru_cache(maxsize=32)
def read_footer(uri: str, path: str) -> pq.FileMetaData:
    """Read the footer of a pack in the lake at `uri`; cached, because a pack never changes.

    Raises FileNotFoundError, and DamagedFile where it is no pack.
    """
    lake = Tables(uri)
    n_bytes = lake.retry_policy.call(
        f"looking at {lake.uri_of(path)}", lambda: int(lake.fs.info(f"{lake.path}/{path}")["size"])
    )
    footer = parquet_footer(lake, path, n_bytes)
    with parsing(uri, path, "a pack of feature files", n_bytes):
        row_groups(footer)
    return footer


def parquet_footer(lake: Tables, path: str, n_bytes: int) -> pq.FileMetaData:
    """Read the footer of a Parquet file of that size, and no other byte.

    Raises FileNotFoundError, and DamagedFile where there is none.
    """
    tail = lake.read_range(path, max(0, n_bytes - _TAIL_BYTES), n_bytes) if n_bytes else b""
    n_footer = int.from_bytes(tail[-8:-4], "little") + 8  # the Parquet format: thrift, its length, PAR1
    if len(tail) < n_footer <= n_bytes:
        tail = lake.read_range(path, n_bytes - n_footer, n_bytes)
    with parsing(lake.uri, path, "a whole Parquet file", n_bytes):
        return pq.read_metadata(pa.BufferReader(tail))


def row_groups(metadata: pq.FileMetaData) -> dict[str, int | None]:
    """Return the row group of each shard; None for a shard without rows."""
    return dict(json.loads(metadata.metadata[INDEX]))


def row_ranges(metadata: pq.FileMetaData) -> dict[str, tuple[int, int]]:
    """Return [first, end) rows of each shard; shards without rows are left out."""
    sizes = (metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    starts = list(itertools.accumulate(sizes, initial=0))
    return {
        shard: (starts[number], starts[number + 1])
        for shard, number in row_groups(metadata).items()
        if number is not None
    }
