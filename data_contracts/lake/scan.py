"""Scan of a table or a feature set by name as a Polars LazyFrame, behind `Lake.scan`."""

from collections import defaultdict

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake.damage import unreadable_file
from data_contracts.lake.feature_files import FeatureFile, cut_files, feature_files
from data_contracts.lake.snapshot import snapshot
from data_contracts.lake.tables import Tables
from data_contracts.lake.time_travel import snapshot_as_of as tables_of
from data_contracts.schema.feature_sets import FEATURE_SETS
from data_contracts.schema.tables import TABLE_KEYS

_ROW_NUMBER = "row number in the pack"


def scan(lake: Tables, name: str, *, as_of: str | None = None) -> pl.LazyFrame:
    """Scan as `Lake.scan` says. Feature sets are not versioned: `as_of` does not change them.

    Columns that one feature version has and another has not are null; vectors of several sizes become lists.
    """
    if name in TABLE_KEYS:
        return (snapshot(lake) if as_of is None else tables_of(lake, as_of, [name])).scan(name)
    if name not in FEATURE_SETS:
        known = ", ".join([*TABLE_KEYS, *FEATURE_SETS[1:]])
        raise UsageError(f"expected one of {known}; found {name!r}")
    by_version = defaultdict[str, list[FeatureFile]](list)
    frames = []
    files = feature_files(lake, name)
    for path in cut_files(lake, {file.path: file.n_bytes for file in files}):  # Polars does not name a file it fails on
        raise unreadable_file(lake.uri, path, "a whole Parquet file", "one that was cut short")
    for file in files:
        if file.hidden:
            frames.append(_scan_visible(lake, file))
        else:
            by_version[file.path.rpartition("/date=")[0]].append(file)
    frames += [_scan_parquet(lake, files) for files in by_version.values()]
    return pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]


def _scan_parquet(lake: Tables, files: list[FeatureFile], row: str | None = None) -> pl.LazyFrame:
    """Scan files of one feature version, which have the same columns."""
    return pl.scan_parquet(
        [lake.uri_of(file.path) for file in files],
        storage_options=lake.polars_options or None,
        hive_partitioning=True,
        row_index_name=row,
    )


def _scan_visible(lake: Tables, file: FeatureFile) -> pl.LazyFrame:
    hidden = [pl.col(_ROW_NUMBER).is_between(first, end, closed="left") for first, end in file.hidden]
    return _scan_parquet(lake, [file], _ROW_NUMBER).filter(~pl.any_horizontal(hidden)).drop(_ROW_NUMBER)
