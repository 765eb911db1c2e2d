"""Loss of published rows to other hands: found by listings, written off so that a forced run publishes them again."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

from deltalake import CommitProperties

from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from data_contracts.lake.names import commit_version
from data_contracts.lake.pointer import LOST, Pointer, read_pointer, write_pointer
from data_contracts.lake.published_version import OUR_STAMP, LostFile, find_published, lost_dates, restore_command
from data_contracts.schema.tables import TABLE_KEYS

_N_THREADS = 8
_MAX_NAMED = 4
_NOT_IN_THE_FEATURES = {
    "speakers": "people who were enrolled have to be enrolled again",
    "runs": "the ledger of earlier runs does not come back",
}

Losses = dict[str, list[LostFile]]
"""Lost files by table."""


def find_losses(lake: Lake) -> Losses:
    """Hold what the pointer and the logs claim against one listing of `analytics/`; no data file is opened."""
    pointer = read_pointer(lake)
    if pointer is None:
        return {}
    sizes = lake.sizes("analytics")

    def find(table: str) -> list[LostFile]:
        version = pointer.versions[table]
        if version == LOST:
            return [LostFile(f"analytics/{table}", "rows that a run began to publish again, and did not end")]
        empty = [
            LostFile(path, "no bytes")
            for path, size in sizes.items()
            if not size
            and path.startswith(f"analytics/{table}/_delta_log/")
            and commit_version(path.rsplit("/", 1)[-1])
        ]
        found = find_published(lake, table, version, sizes)
        return [*empty, *(found.lost if found.delta is None else ())]

    with ThreadPoolExecutor(_N_THREADS, thread_name_prefix="table") as pool:
        tables = [table for table in pointer.versions if table in TABLE_KEYS]
        return {table: lost for table, lost in zip(tables, pool.map(find, tables), strict=True) if lost}


def describe_losses(lake: Lake, losses: Losses) -> str:
    """Say what is lost, and what publishes it again."""
    files = [file for lost in losses.values() for file in lost]
    named = "; ".join(f"{file.path}: {file.found}" for file in files[:_MAX_NAMED])
    more = f"; and {len(files) - _MAX_NAMED} more" if len(files) > _MAX_NAMED else ""
    notes = "".join(f"; {note}" for table, note in _NOT_IN_THE_FEATURES.items() if table in losses)
    return (
        f"expected the tables in {lake.uri_of('analytics')} as they were published; found files gone or cut: {named}"
        f"{more}; {restore_command(files)} publishes their rows "
        f"again from the stored features{notes}"
    )


def can_restore(losses: Losses, dates: tuple[dt.date, ...] | None) -> bool:
    """Tell whether a forced run over `dates` (None: all) publishes all lost rows again."""
    lost = lost_dates(file for files in losses.values() for file in files)
    return dates is None or (lost is not None and set(lost) <= set(dates))


def require_restored(lake: Lake) -> None:
    """Raise DamagedFile where a run began to publish lost rows again and did not end: nothing is built on the rest."""
    pointer = read_pointer(lake)
    if pointer is not None and LOST in pointer.versions.values():
        raise DamagedFile(describe_losses(lake, find_losses(lake)))


def write_off(lake: Lake, losses: Losses) -> None:
    """Take lost files off the tables' logs, and tables whose log is damaged aside; queries fail until they are back.

    The caller holds the publish lock, and publishes the rows again.
    """
    pointer = read_pointer(lake)
    versions = dict(pointer.versions) if pointer is not None else {}
    if pointer is not None:
        write_pointer(lake, Pointer(pointer.run_id, versions | dict.fromkeys(losses, LOST)))
    for table, lost in losses.items():
        if all(file.path.endswith(".parquet") for file in lost):
            _forget_files(lake, table, lost)
        elif any("/_delta_log" in file.path for file in lost) and lake.sizes(f"analytics/{table}"):
            lake.set_aside(f"analytics/{table}")


def _forget_files(lake: Lake, table: str, lost: list[LostFile]) -> None:
    for file in lost:
        if lake.exists(file.path):  # cut: what is left of it
            lake.set_aside(file.path)
    delta = lake.delta(table)
    if delta is not None:
        delta.repair(commit_properties=CommitProperties(custom_metadata={f"{OUR_STAMP}flow": "write-off"}))
