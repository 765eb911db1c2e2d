"""Damage that other hands did to the features of a run's dates: mended where audio is read, named where it is not."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from data_contracts.errors import DamagedFile
from data_contracts.schema.tables import RECORDINGS
from features.store import shard_files
from features.store.completeness import Damage, find_damage, find_damage_on
from tasks.run.context import Run

_MAX_NAMED = 5


def mend_store(run: Run, date: dt.date, sets: Sequence[str]) -> list[str]:
    """Set unreadable files of a date aside, and return the shards whose recordings have to be read again.

    Where a file of `recordings` is unreadable nobody knows what the shards hold: a forced run sets the date aside and
    reads all of it. Raises DamagedFile otherwise.
    """
    damage = find_damage(run.lake, run.feature_version, date, sets)
    if damage.unreadable_recordings:
        if not run.force:
            raise _error(run, {date: damage})
        for feature_set in sets:
            if run.lake.sizes(folder := shard_files.folder(feature_set, run.feature_version, date)):
                run.lake.set_aside(folder)
        return []
    for path in damage.unreadable:
        run.lake.set_aside(path)
    return sorted(damage.missing)


def require_features(run: Run, dates: Sequence[dt.date]) -> None:
    """Raise DamagedFile, before anything is computed, where features of these dates are gone or unreadable."""
    found = find_damage_on(run.lake, run.feature_version, dates)
    if found:
        raise _error(run, found)
    rows = run.lake.frame("recordings", RECORDINGS).filter(pl.col("feature_version") == run.feature_version)
    published = set(rows.select("date").unique().collect()["date"])
    lost = sorted(published - set(dates) if run.dates is None else (published & set(run.dates)) - set(dates))
    if lost:
        raise DamagedFile(
            f"expected the features of the published recordings of {', '.join(map(str, lost[:_MAX_NAMED]))} in "
            f"{run.lake.uri_of('features')}; found none of version {run.feature_version}; `undertone backfill --from "
            f"{lost[0]} --to {lost[-1]}` reads these recordings again"
        )


def _error(run: Run, found: dict[dt.date, Damage]) -> DamagedFile:
    paths = [path for damage in found.values() for path in damage.paths]
    named = ", ".join(paths[:_MAX_NAMED]) + (f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else "")
    force = " --force" if any(damage.unreadable_recordings for damage in found.values()) else ""
    return DamagedFile(
        f"expected every feature file of {len(found)} date(s) in {run.lake.uri} to be there and "
        f"whole; found these gone or cut: {named}; `undertone backfill --from {min(found)} --to {max(found)}{force}` "
        "reads their recordings again"
    )
