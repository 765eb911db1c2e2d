"""Files of a feature set, with the rows to skip because another file holds the same shard.

While `undertone maintain` packs a date, a shard is in a pack and in a loose file of its own for a moment; after a crash
there, until maintenance runs again. A loose file takes precedence over a pack (`features.store.packs`).
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import UsageError
from data_contracts.lake.damage import MIN_PARQUET_BYTES, ends_as_parquet
from data_contracts.lake.names import is_feature_path, is_pack
from data_contracts.lake.pack_index import read_footer, row_ranges
from data_contracts.lake.tables import Tables

_MAX_ATTEMPTS = 5  # a packer removes files after they were listed
_N_THREADS = 16


@dataclass(frozen=True)
class FeatureFile:
    """A Parquet file below the lake's root; its `hidden` rows, [first, end) ranges, are counted in another file."""

    path: str
    n_bytes: int
    hidden: tuple[tuple[int, int], ...] = ()


def feature_files(lake: Tables, feature_set: str) -> list[FeatureFile]:
    """List the files of every version and date. Raises UsageError where there are none yet."""
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            found = _list_files(lake, feature_set)
        except FileNotFoundError:
            if attempt == _MAX_ATTEMPTS:
                raise
            continue
        break
    if not found:
        raise UsageError(f"{lake.uri_of('features', feature_set)} holds nothing yet; run `undertone backfill`")
    return found


def cut_files(lake: Tables, sizes: Mapping[str, int]) -> list[str]:
    """Return those of some Parquet files that cannot be whole, by their size; in a folder by their last bytes too."""
    if not lake.is_local:
        return [path for path, n_bytes in sizes.items() if n_bytes < MIN_PARQUET_BYTES]
    return [path for path, n_bytes in sizes.items() if not ends_as_parquet(_tail(lake, path), n_bytes)]


def _tail(lake: Tables, path: str) -> bytes:
    """The last eight bytes of a folder's file; none of one that is gone."""
    try:
        with Path(lake.path, path).open("rb", buffering=0) as file:
            file.seek(-8, os.SEEK_END)
            return file.read(8)
    except OSError:
        return b""


def _list_files(lake: Tables, feature_set: str) -> list[FeatureFile]:
    """List once. Raises FileNotFoundError where a pack is removed meanwhile."""
    folders = defaultdict[str, dict[str, int]](dict)
    for path, n_bytes in lake.sizes(f"features/{feature_set}").items():
        folder, _, name = path.rpartition("/")
        if is_feature_path(path):
            folders[folder][name] = n_bytes
    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="footer") as pool:
        hidden = dict(pool.map(lambda folder: (folder, _hidden_rows(lake, folder, folders[folder])), folders))
    return [
        FeatureFile(f"{folder}/{name}", n_bytes, hidden[folder].get(name, ()))
        for folder, files in folders.items()
        for name, n_bytes in files.items()
    ]


def _hidden_rows(lake: Tables, folder: str, names: Iterable[str]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return by pack the row ranges that other files hold; footers are read only where there are several files."""
    packs, loose = [name for name in names if is_pack(name)], [name for name in names if not is_pack(name)]
    if len(packs) + len(loose) < 2:
        return {}
    seen, hidden = {name.removesuffix(".parquet") for name in loose}, {}
    for pack in sorted(packs, reverse=True):  # of two packs the last counts, as in `features.store.shard_files`
        held = row_ranges(read_footer(lake.uri, f"{folder}/{pack}"))
        hidden[pack] = tuple(sorted(place for shard, place in held.items() if shard in seen))
        seen |= held.keys()
    return hidden
