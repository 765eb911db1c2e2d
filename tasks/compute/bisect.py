"""Bisection of a shard that kills workers, until the recording at fault is alone and can be rejected."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from data_contracts.records import AudioObject, ShardRef
from data_contracts.rejects import Reason, Reject
from features.corpus import shard_plan
from features.extraction.shard import ShardExtraction, reject_shard
from features.extraction.utterances import Embedders
from tasks.compute.mapping import Fallback, Item, Replacement
from tasks.run import staging_paths as paths
from tasks.run.context import Run

T = TypeVar("T")


def bisect_shard(run: Run, embedders: Embedders) -> Fallback[tuple[ShardRef, ShardExtraction]]:
    """Return a fallback for items (run, shard): halves; one recording alone is rejected after `shard_tries` tries."""
    reject = reject_after_tries(run, partial(_rejected_shard, embedders))

    def fallback(item: Item, n_deaths: int) -> Replacement[tuple[ShardRef, ShardExtraction]]:
        run_for_workers, ref = item
        if ref.n_objects == 1:
            return reject(item, n_deaths)
        members = shard_plan.read_plan(run.lake, ref)
        middle = len(members) // 2
        halves = {shard_plan.shard_id(half, run.feature_version): half for half in (members[:middle], members[middle:])}
        return Replacement(items=[(run_for_workers, half) for half in replan(run, ref, halves)])

    return fallback


def _rejected_shard(embedders: Embedders, run: Run, reject: Reject, ref: ShardRef) -> tuple[ShardRef, ShardExtraction]:
    options: Any = {"version": run.feature_version, "config": run.config, "embedders": embedders}
    return ref, ShardExtraction(reject_shard(run.lake, ref, reject, **options, replace=run.force))


def reject_after_tries(run: Run, make_result: Callable[..., T]) -> Fallback[T]:
    """Return a fallback for items (run, …) of one recording: `make_result(run, reject, …)` after all tries."""

    def fallback(item: Item, n_deaths: int) -> Replacement[T]:
        if n_deaths < run.shard_tries:
            return Replacement(items=[item])
        return Replacement(results=[make_result(run, _worker_death_reject(run, n_deaths), *item[1:])])

    return fallback


def _worker_death_reject(run: Run, n_deaths: int) -> Reject:
    return Reject(
        Reason.UNREADABLE,
        f"expected a worker to compute it within memory_mb = {run.resources.memory_mb}; workers died, or ran out of "
        f"memory, {n_deaths} times over it: raise memory_mb, or take it out of the corpus",
    )


def replan(run: Run, ref: ShardRef, parts: Mapping[str, Sequence[AudioObject]]) -> list[ShardRef]:
    """Replace a shard's plan by plans of `parts`, members by shard id; the shard itself may be one of them."""
    folder = ref.plan.rsplit("/date=", 1)[0]
    refs = [shard_plan.write_plan(run.lake, folder, members, shard=shard) for shard, members in parts.items()]
    run.lake.write_json(paths.replanned_shard(run.id, ref.id), [asdict(part) for part in refs])
    if ref.id not in parts:
        run.lake.remove(ref.plan)
    return refs


def replanned_shards(run: Run, refs: Sequence[ShardRef]) -> list[ShardRef]:
    """Return `refs` with every shard that an earlier attempt replanned replaced by its parts."""
    names = set(run.lake.names(paths.replanned(run.id)))
    found, stack = list[ShardRef](), list(reversed(refs))
    while stack:
        ref = stack.pop()
        if f"{ref.id}.json" not in names:
            found.append(ref)
            continue
        names.discard(f"{ref.id}.json")
        rows: list[dict[str, Any]] = run.lake.read_json(paths.replanned_shard(run.id, ref.id))
        stack += [ShardRef(**row | {"date": dt.date.fromisoformat(row["date"])}) for row in reversed(rows)]
    return found


def split_off_long(run: Run, ref: ShardRef, members: list[AudioObject]) -> list[ShardRef]:
    """Replan each of a shard's long members as a shard of its own, and the shard without them. Returns the former."""
    if not members:
        return []
    long = {(item.uri, item.etag) for item in members}
    rest = [item for item in shard_plan.read_plan(run.lake, ref) if (item.uri, item.etag) not in long]
    own = {shard_plan.shard_id([item], run.feature_version): [item] for item in members}
    refs = replan(run, ref, ({ref.id: rest} if rest else {}) | own)
    return [part for part in refs if part.id in own]
