"""Test of a store's conditional writes: where two writers can create the same file, a publication may be lost.

npm's s3rver ignores If-None-Match; Swift's s3api looks first and writes then. Both lost rows that were acknowledged.
"""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import write_deltalake

from data_contracts.errors import LakeError
from data_contracts.lake.tables import Tables
from data_contracts.object_store.error_translation import translate_errors

_checked: set[tuple[str, str]] = set()
_N_WRITERS, _N_ROUNDS = 8, 4
_ROW = pa.table({"row": [1]})


def require_conditional_writes(lake: Tables) -> None:
    """Test a lake's store once in each process. Raises LakeError where publishing to it could lose rows."""
    endpoint = lake.storage_options.get("aws_endpoint_url", "")
    if (lake.uri, endpoint) in _checked:
        return
    found = find_broken_condition(lake)
    if found is not None:
        raise LakeError(
            "expected a store where one of those who create a file at the same time succeeds (If-None-Match); found "
            f"{found} at {lake.uri} {endpoint}: publishing there could lose rows; move the lake to another store"
        )
    _checked.add((lake.uri, endpoint))


def find_broken_condition(lake: Tables) -> str | None:
    """Return the violation seen at a store, in words, or None where its conditions hold. Removes its test files."""
    folder = f"staging/conditions-{uuid.uuid4().hex[:12]}"
    try:
        first = lake.create(f"{folder}/twice", b"first")
        if not first or lake.create(f"{folder}/twice", b"second") or lake.read(f"{folder}/twice") != b"first":
            return "one that ignores the condition (a file was created twice)"
        for round_number in range(_N_ROUNDS):
            winners = _race(lake, f"{folder}/{round_number}")
            if len(winners) != 1 or lake.read(f"{folder}/{round_number}") != winners[0]:
                return f"one that looks first and writes then ({len(winners)} of {_N_WRITERS} created the same file)"
        if lake.is_local:
            _commit_twice(lake, folder)
    finally:
        lake.remove(folder)
    return None


def _race(lake: Tables, path: str) -> list[bytes]:
    """Create one file from several threads, each with other bytes; return the bytes of the acknowledged writers."""
    start = threading.Barrier(_N_WRITERS)

    def create(writer: int) -> bytes | None:
        data = f"{writer} {uuid.uuid4().hex}".encode()
        start.wait()
        return data if lake.create(path, data) else None

    with ThreadPoolExecutor(_N_WRITERS) as pool:
        return [data for data in pool.map(create, range(_N_WRITERS)) if data is not None]


def _commit_twice(lake: Tables, folder: str) -> None:
    """Commit to a Delta table, which creates its files in a way of its own. Raises LakeError where that fails."""
    doing = f"committing to a table in {lake.uri_of(folder)}"
    for mode in ("error", "append"):
        with translate_errors(doing):
            write_deltalake(lake.uri_of(folder, "table"), _ROW, mode=mode, storage_options=lake.storage_options)
