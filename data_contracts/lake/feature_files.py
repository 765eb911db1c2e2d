"""The files of a feature set, and which of their rows another file holds too: so that a reader counts each shard once.

While `undertone maintain` packs a date, a shard lies in a pack and in a file of its own for a moment; where it died
there, until it is run again. A loose file wins over a pack (`features.store.packs`).
"""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from data_contracts.errors import UsageError
from data_contracts.lake.pack_index import is_pack, read_footer, row_ranges
from data_contracts.lake.tables import Tables

_MAX_ATTEMPTS = 5  # a packer takes away what was listed
_N_THREADS = 16


@dataclass(frozen=True)
class FeatureFile:
    """A Parquet file below the lake's root; of its rows those `hidden`, [first, end) each, count elsewhere."""

    path: str
    n_bytes: int
    hidden: tuple[tuple[int, int], ...] = ()


def feature_files(lake: Tables, feature_set: str) -> list[FeatureFile]:
    """All there are now, of every version and date. Raises UsageError where there is none yet."""
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


def _list_files(lake: Tables, feature_set: str) -> list[FeatureFile]:
    """Raises FileNotFoundError where a pack went away meanwhile."""
    folders = defaultdict[str, dict[str, int]](dict)
    for path, n_bytes in lake.sizes(f"features/{feature_set}").items():
        folder, _, name = path.rpartition("/")
        if name.endswith(".parquet") and not name.startswith("."):
            folders[folder][name] = n_bytes
    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="footer") as pool:
        hidden = dict(pool.map(lambda folder: (folder, _hidden_rows(lake, folder, folders[folder])), folders))
    return [
        FeatureFile(f"{folder}/{name}", n_bytes, hidden[folder].get(name, ()))
        for folder, files in folders.items()
        for name, n_bytes in files.items()
    ]


def _hidden_rows(lake: Tables, folder: str, names: Iterable[str]) -> dict[str, tuple[tuple[int, int], ...]]:
    """By pack, the rows that a file beside it holds; only where there is one are the footers read."""
    packs, loose = [name for name in names if is_pack(name)], [name for name in names if not is_pack(name)]
    if len(packs) + len(loose) < 2:
        return {}
    seen, hidden = {name.removesuffix(".parquet") for name in loose}, {}
    for pack in sorted(packs, reverse=True):  # of two packs the last counts, as in `features.store.shard_files`
        held = row_ranges(read_footer(lake.uri, f"{folder}/{pack}"))
        hidden[pack] = tuple(sorted(place for shard, place in held.items() if shard in seen))
        seen |= held.keys()
    return hidden
