"""Changes that other tools committed to the tables since the last publication: never published unseen.

Compacting, and removing old files, changes no row: publications go on from there. A change of rows or columns stops
them until a person accepts it, by `undertone maintain --accept-changes`, or takes it back.
"""

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from data_contracts.lake.pointer import LOST, read_pointer
from data_contracts.lake.published_version import commits_since, foreign_changes, is_ours


def find_changes(lake: Lake) -> dict[str, list[str]]:
    """Describe the foreign commits that changed rows or columns, by table; only tables that changed are opened."""
    pointer, changes = read_pointer(lake), dict[str, list[str]]()
    for table, version in pointer.versions.items() if pointer else ():
        newest = lake.newest_commit(table)
        if version == LOST or newest is None or newest <= version:
            continue
        head = lake.delta(table)
        others = [entry for entry in commits_since(head, version) if not is_ours(entry)] if head is not None else []
        if head is not None and others and (found := foreign_changes(lake, table, version, head, others)):
            changes[table] = found
    return changes


def require_no_changes(lake: Lake) -> None:
    """Raise LakeError where another tool changed rows or columns since the last publication."""
    changes = find_changes(lake)
    if not changes:
        return
    pointer = read_pointer(lake)
    versions = dict(pointer.versions) if pointer else {}
    found = "; ".join(f"{table}, {', '.join(words)}" for table, words in changes.items())
    table = next(iter(changes))
    raise LakeError(
        f"expected the tables in {lake.uri_of('analytics')} as Undertone last published them; found changes by other "
        f"tools: {found}; publishing would make them part of the tables: to keep them, `undertone maintain "
        f"--accept-changes`, then run again; to take them back, DeltaTable('{lake.uri_of('analytics', table)}')"
        f".restore({versions[table]})"
    )
