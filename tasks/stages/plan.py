"""Stage 2: shards of similar size in audio bytes, named by a digest of their members."""

import datetime as dt

import numpy as np
import polars as pl

from data_contracts.records import ShardRef
from features.corpus import shard_plan
from features.corpus.object_frames import OBJECT_KEY
from features.store import history
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.staging.found_objects import Discovery, read_found


@stage
def plan(run: Run, found: Discovery, *, n_workers: int) -> list[ShardRef]:
    """Pack the discovered objects into shards, date by date, and write their plans; shards done before stay.

    In memory are a part of one date's objects, and 200 bytes a shard.
    """
    max_bytes, folder = (
        shard_plan.shard_bytes(found.n_bytes, n_workers=n_workers, max_bytes=run.shard_bytes),
        paths.plan(run.id),
    )
    refs: list[ShardRef] = []
    for date in found.dates:
        parts = read_found(run, found, date)
        if run.force or date in found.incomplete:
            shards = None if run.force else found.incomplete[date]
            whole, rest = _split_complete_shards(run, date, pl.concat(parts), shards)
            refs += _rewrite_plans(run, folder, whole)
            parts = iter([rest])
        for objects, ends in shard_plan.split_shards(parts, max_bytes=max_bytes):
            ids = shard_plan.shard_ids(objects, ends, run.feature_version)
            refs += shard_plan.write_plans(run.lake, folder, objects, ends, ids)
    return refs


def _split_complete_shards(
    run: Run, date: dt.date, objects: pl.DataFrame, shards: list[str] | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the objects of shards whose members are all still there: these are written again in place.

    `shards` are those to write again; None for a forced run, which does all. Returns their objects, with `shard`, and
    the others, which are packed again.
    """
    members = history.shard_members(run.lake, run.feature_version, date)
    if shards is not None:
        members = members.filter(pl.col("shard").is_in(shards))
    incomplete = members.join(objects, on=OBJECT_KEY, how="anti").select("shard").unique()
    complete = members.join(incomplete, on="shard", how="anti")
    return objects.join(complete, on=OBJECT_KEY, how="inner").sort("shard", *OBJECT_KEY), objects.join(
        complete, on=OBJECT_KEY, how="anti"
    )


def _rewrite_plans(run: Run, folder: str, whole: pl.DataFrame) -> list[ShardRef]:
    if whole.is_empty():
        return []
    lengths = whole.group_by("shard", maintain_order=True).len()
    return shard_plan.write_plans(
        run.lake, folder, whole, np.cumsum(lengths["len"].to_numpy()), lengths["shard"].to_list()
    )
