"""A table or a feature set by its name, as a Polars LazyFrame: what `Lake.scan` does."""

from collections.abc import Iterable

import polars as pl

from data_contracts.as_of import as_of as tables_of
from data_contracts.errors import UsageError
from data_contracts.feature_files import FeatureFile, feature_files
from data_contracts.lake import Lake
from data_contracts.published import published
from data_contracts.schemas import FEATURE_SETS, TABLE_KEYS

_ROW = "row number in the pack"


def scan(lake: Lake, name: str, *, as_of: str | None = None) -> pl.LazyFrame:
    """See `Lake.scan`. Feature sets have no versions of their own: whatever `as_of` says, they are as they are now."""
    if name in TABLE_KEYS:
        return (published(lake) if as_of is None else tables_of(lake, as_of, [name])).scan(name)
    if name not in FEATURE_SETS:
        known = ", ".join([*TABLE_KEYS, *FEATURE_SETS[1:]])
        raise UsageError(f"expected one of {known}; found {name!r}")
    files = feature_files(lake, name)
    whole = [file for file in files if not file.hidden]
    frames = [_parquet(lake, whole)] if whole else []
    frames += [_visible(lake, file) for file in files if file.hidden]
    return pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]


def _parquet(lake: Lake, files: Iterable[FeatureFile], row: str | None = None) -> pl.LazyFrame:
    """Columns that an earlier version of Undertone did not write are null."""
    return pl.scan_parquet(
        [lake.at(file.path) for file in files],
        storage_options=lake.polars_options or None,
        hive_partitioning=True,
        missing_columns="insert",
        extra_columns="ignore",
        row_index_name=row,
    )


def _visible(lake: Lake, file: FeatureFile) -> pl.LazyFrame:
    hidden = [pl.col(_ROW).is_between(first, end, closed="left") for first, end in file.hidden]
    return _parquet(lake, [file], _ROW).filter(~pl.any_horizontal(hidden)).drop(_ROW)
