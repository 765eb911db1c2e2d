"""Packs: many shards of one feature set and date in one Parquet file, readable by any Parquet reader.

    features/<set>/version=…/date=…/pack-<hash of its bytes>.parquet

A shard is a row group; the file's own metadata maps one to the other. A pack is never changed: its name is a hash of
its content. A loose file takes precedence over a pack's copy of the same shard, so a shard may be rewritten, and a
packer may die on the way.
"""

import io
import json
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.fingerprint import digest
from data_contracts.lake import Lake
from data_contracts.lake.damage import parsing
from data_contracts.lake.names import PACK_PREFIX, is_pack
from data_contracts.lake.pack_index import INDEX, read_footer, row_groups


class Packer:
    """Writer of one pack, in memory. All its tables have the same schema, metadata included."""

    def __init__(self, schema: pa.Schema) -> None:
        self.shards: list[str] = []
        self._row_groups: list[int | None] = []
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")

    @property
    def n_bytes(self) -> int:
        return self._sink.tell()

    def add(self, shard: str, table: pa.Table) -> None:
        """Append a shard. One without rows has no row group: not every reader accepts empty ones."""
        number = sum(group is not None for group in self._row_groups) if table.num_rows else None
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self.shards.append(shard)
        self._row_groups.append(number)

    def finish(self) -> tuple[str, bytes]:
        """Close the pack and return its name and bytes."""
        row_groups = list(zip(self.shards, self._row_groups, strict=True))
        self._writer.add_key_value_metadata({INDEX: json.dumps(row_groups).encode()})
        self._writer.close()
        data = self._sink.getvalue()
        return f"{PACK_PREFIX}{digest(data)}.parquet", data


def list_packs(lake: Lake, folder: str) -> list[str]:
    """List the packs in a folder; an object store is asked for the names with their prefix alone."""
    if lake.is_local:
        return [name for name in lake.names(folder) if is_pack(name)]
    found = lake.retry_policy.call(
        f"listing {lake.uri_of(folder)}", lambda: lake.fs.find(f"{lake.path}/{folder}", prefix=PACK_PREFIX)
    )
    return sorted(filter(is_pack, (path.rsplit("/", 1)[-1] for path in found)))


def list_shards(lake: Lake, path: str) -> list[str]:
    """List the shards of a pack. Raises FileNotFoundError."""
    return list(row_groups(read_footer(lake.uri, path)))


def find_pack(lake: Lake, folder: str, shard: str) -> str | None:
    """Return the path of the pack that holds a shard; None where there is none."""
    paths = (f"{folder}/{name}" for name in list_packs(lake, folder))
    return next((path for path in paths if shard in list_shards(lake, path)), None)


def read(lake: Lake, folder: str, shard: str, columns: list[str] | None = None) -> pa.Table:
    """Read a shard's rows, exactly as its own file had them; only its row group is fetched.

    Raises FileNotFoundError.
    """
    path = find_pack(lake, folder, shard)
    if path is None:
        raise FileNotFoundError(lake.uri_of(folder, f"{shard}.parquet"))
    footer = read_footer(lake.uri, path)
    number = row_groups(footer)[shard]
    if number is None:
        return _without_index(pq.ParquetFile(_FileSlice(0, b""), metadata=footer).schema_arrow.empty_table(), columns)
    group = footer.row_group(number)
    chunks = [group.column(place) for place in range(group.num_columns)]
    starts = [chunk.dictionary_page_offset or chunk.data_page_offset for chunk in chunks]
    ends = [start + chunk.total_compressed_size for start, chunk in zip(starts, chunks, strict=True)]
    data = lake.read_range(path, min(starts), max(ends))
    with parsing(lake.uri, path, f"the rows of shard {shard}", len(data)):
        file = pq.ParquetFile(_FileSlice(min(starts), data), metadata=footer, pre_buffer=False)
        return _without_index(file.read_row_group(number, columns, use_threads=False), columns)


def tables(lake: Lake, path: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield every shard of a pack with its rows; the pack is fetched in one piece. Raises FileNotFoundError."""
    data = lake.read(path)
    with parsing(lake.uri, path, "a whole pack of feature files", len(data)):
        file = pq.ParquetFile(pa.BufferReader(data))
        held = row_groups(file.metadata)
    for shard, number in held.items():
        with parsing(lake.uri, path, f"the rows of shard {shard}", len(data)):
            table = file.schema_arrow.empty_table() if number is None else file.read_row_group(number, columns)
        yield shard, _without_index(table, columns)


def unpack(lake: Lake, folder: str, shard: str) -> None:
    """Split the packs that hold a rewritten shard into loose files: plain readers would see the shard twice.

    Concurrent calls never overwrite an existing file.
    """
    for name in list_packs(lake, folder):
        path = f"{folder}/{name}"
        try:
            if shard not in list_shards(lake, path):
                continue
            for other, table in tables(lake, path):
                sink = io.BytesIO()
                pq.write_table(table, sink, compression="zstd")
                lake.create(f"{folder}/{other}.parquet", sink.getvalue())
        except FileNotFoundError:  # another run has done it
            continue
        lake.remove(path)


def _without_index(table: pa.Table, columns: Iterable[str] | None) -> pa.Table:
    """Return the table with the metadata that the shard's own file had."""
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != INDEX}
    return (table if columns is None else table.select(columns)).replace_schema_metadata(metadata)


class _FileSlice(io.RawIOBase):
    """A slice of a file, addressed by the offsets of the whole file; readers stay inside it."""

    def __init__(self, start: int, data: bytes) -> None:
        self._start, self._data, self._place = start, data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._start + len(self._data)}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        begin = self._place - self._start
        found = self._data[begin : len(self._data) if size < 0 else begin + size]
        self._place += len(found)
        return found
