"""Packing objects into shards: by bytes, in a fixed order, named by what they hold."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from data_contracts.fingerprint import fingerprint
from data_contracts.lake import Lake
from data_contracts.records import AudioObject, ShardRef
from data_contracts.schemas import PLAN

SHARD_BYTES = 256_000_000
_SMALLEST = 4_000_000
_SHARDS_A_WORKER = 3


def shard_bytes(total_bytes: int, *, n_workers: int, most: int = SHARD_BYTES) -> int:
    """The size to aim at: `most`, or less where a small night would leave workers without a shard.

    >>> shard_bytes(10**12, n_workers=8), shard_bytes(60_000_000, n_workers=2)
    (256000000, 10000000)
    """
    return max(min(most, _SMALLEST), min(most, -(-total_bytes // (_SHARDS_A_WORKER * max(1, n_workers)))))


def pack(objects: Sequence[AudioObject], *, most_bytes: int) -> Iterator[list[AudioObject]]:
    """Shards of one date's objects, in the order of their URIs; only a single object may exceed `most_bytes`."""
    shard: list[AudioObject] = []
    n_bytes = 0
    for item in sorted(objects, key=lambda item: (item.uri, item.etag)):
        if shard and n_bytes + item.bytes > most_bytes:
            yield shard
            shard, n_bytes = [], 0
        shard.append(item)
        n_bytes += item.bytes
    if shard:
        yield shard


def shard_id(members: Sequence[AudioObject], version: str) -> str:
    """The hash of what the shard holds and of the feature version; the same wherever and whenever it is planned."""
    return fingerprint(version, *sorted((item.uri, item.etag, item.tries) for item in members), length=16)


def write_plan(lake: Lake, folder: str, members: Sequence[AudioObject], *, shard: str) -> ShardRef:
    """Writes down a shard's members and returns the reference that travels in their place."""
    date = members[0].date
    path = f"{folder}/date={date.isoformat()}/{shard}.parquet"
    rows = [{field.name: getattr(item, field.name) for field in PLAN} for item in members]
    lake.write_parquet(path, pa.Table.from_pylist(rows, schema=PLAN))
    return ShardRef(shard, date, path, len(members), sum(item.bytes for item in members))


def read_plan(lake: Lake, ref: ShardRef) -> list[AudioObject]:
    """The members that `write_plan` wrote."""
    return [AudioObject(date=ref.date, **row) for row in lake.read_parquet(ref.plan).to_pylist()]
