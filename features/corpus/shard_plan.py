"""Shard plan: objects packed by bytes in a fixed order; a shard is named by the hash of its members."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.records import SHARD_BYTES, AudioObject, ShardRef
from features.corpus import object_frames
from features.corpus.object_frames import OBJECT_KEY

_MIN_SHARD_BYTES = 4_000_000
_SHARDS_PER_WORKER = 3
_N_WRITERS = 8


def shard_bytes(total_bytes: int, *, n_workers: int, max_bytes: int = SHARD_BYTES) -> int:
    """Return the target size: `max_bytes`, or less where a small night would leave workers without a shard.

    >>> shard_bytes(10**12, n_workers=8), shard_bytes(60_000_000, n_workers=2)
    (256000000, 10000000)
    """
    return max(
        min(max_bytes, _MIN_SHARD_BYTES), min(max_bytes, -(-total_bytes // (_SHARDS_PER_WORKER * max(1, n_workers))))
    )


def shard_ends(sizes: np.ndarray, *, max_bytes: int) -> np.ndarray:
    """Return the ends of shards: (objects,) bytes in the order of URIs to (shards,) ends, the last `len(sizes)`.

    Only a single object may exceed `max_bytes`.

    >>> shard_ends(np.array([3, 3, 3, 9, 1, 0]), max_bytes=6).tolist()
    [2, 3, 4, 6]
    """
    cumulative = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    ends, start = [], 0
    while start < len(sizes):
        start = max(start + 1, int(np.searchsorted(cumulative, cumulative[start] + max_bytes, side="right")) - 1)
        ends.append(start)
    return np.array(ends, np.int64)


def split_shards(parts: Iterable[pl.DataFrame], *, max_bytes: int) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Apply `shard_ends` to parts that continue each other in the order of (uri, etag); yield rows and their ends.

    A shard may begin in one part and end in the next; memory holds a part and the rest of the one before.
    """
    left: pl.DataFrame | None = None
    for part in parts:
        objects = part if left is None else pl.concat([left, part])
        ends = shard_ends(objects["bytes"].to_numpy(), max_bytes=max_bytes)
        full = int(ends[-2]) if len(ends) > 1 else 0
        left = objects[full:]
        if full:
            yield objects[:full], ends[:-1]
    if left is not None and left.height:
        yield left, np.array([left.height])


def shard_ids(objects: pl.DataFrame, ends: np.ndarray, version: str) -> list[str]:
    """Name the shards that end at `ends` by the hash of their members, in the order of (uri, etag), and the version.

    A shard has the same name wherever and whenever it is planned.
    """
    parts = [pl.col(name).cast(pl.String) for name in (*OBJECT_KEY, "tries")]
    sized = [part for name in parts for part in (name.str.len_bytes().cast(pl.String), pl.lit(":"), name)]  # netstrings
    names = objects.select(pl.concat_str(sized)).to_series().rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = names.buffers()
    starts = np.frombuffer(offsets, np.int64)[names.offset :][np.concatenate([[0], ends])]
    text, salt = memoryview(data), f"{version}\n".encode()
    return [
        hashlib.sha256(salt + text[start:end]).hexdigest()[:16]
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]


def shard_id(members: Sequence[AudioObject], version: str) -> str:
    """Name one shard, its members in any order."""
    objects = object_frames.from_objects(members).sort(*OBJECT_KEY, "tries")
    return shard_ids(objects, np.array([objects.height]), version)[0]


def write_plans(lake: Lake, folder: str, objects: pl.DataFrame, ends: np.ndarray, ids: Sequence[str]) -> list[ShardRef]:
    """Write the plans of many shards of one date, several at a time."""
    table, date = object_frames.to_arrow(objects), objects["date"][0]
    cumulative = np.concatenate([[0], np.cumsum(objects["bytes"].to_numpy(), dtype=np.int64)])
    starts = [0, *ends.tolist()]
    refs = [
        ShardRef(shard, date, folder, end - start, int(cumulative[end] - cumulative[start]))
        for shard, start, end in zip(ids, starts[:-1], starts[1:], strict=True)
    ]

    def write(ref: ShardRef, start: int) -> None:
        lake.write_parquet(ref.plan, table.slice(start, ref.n_objects))

    with ThreadPoolExecutor(_N_WRITERS, thread_name_prefix="plan") as pool:
        list(pool.map(write, refs, starts[:-1]))
    return refs


def write_plan(lake: Lake, folder: str, members: Sequence[AudioObject], *, shard: str) -> ShardRef:
    """Write a shard's plan and return the reference that travels in its place."""
    (ref,) = write_plans(lake, folder, object_frames.from_objects(members), np.array([len(members)]), [shard])
    return ref


def read_plan(lake: Lake, ref: ShardRef) -> list[AudioObject]:
    """Read the members that `write_plan` wrote."""
    table: pa.Table = lake.read_parquet(ref.plan)
    return [AudioObject(date=ref.date, **row) for row in table.to_pylist()]
