"""Stage 3: one Dask future a shard; of a long recording, one a stretch of time."""

from collections.abc import Callable
from typing import Any

from data_contracts.records import AudioObject, Counts, ShardRef
from features.corpus import shard_plan
from tasks.compute.bisect import bisect_shard, reject_after_tries, replan, replanned_shards
from tasks.compute.cluster import GPU
from tasks.compute.mapping import map_on_cluster
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.workers.extract import (
    assemble_fallback,
    assemble_one,
    describe_fallback,
    describe_one,
    embedders,
    extract_one,
    survey_fallback,
    survey_one,
)


@stage
def extract(run: Run, refs: list[ShardRef], client: Any, *, progress: Callable[[Counts], Any] | None = None) -> Counts:
    """Extracts every shard and returns the counts of all; `progress` hears of each as it comes.

    Recordings that turn out to be long come last, each a shard of its own, and are split over all workers by time.
    """
    total, long, sent = Counts(), list[ShardRef](), run.for_workers()
    tell = progress or (lambda _: None)
    largest_first = sorted(replanned_shards(run, refs), key=lambda ref: (-ref.n_bytes, ref.id))
    shares: Any = {"tries": run.shard_tries, "resource": GPU}
    items = ((sent, ref) for ref in largest_first)
    for ref, done in map_on_cluster(client, extract_one, items, fallback=bisect_shard(run, embedders(run)), **shares):
        long += split_off_long(run, ref, done.long)
        total += done.counts
        tell(done.counts)
    items = ((sent, ref) for ref in long)
    surveyed = list(
        map_on_cluster(client, survey_one, items, fallback=reject_after_tries(run, survey_fallback), **shares)
    )
    ranges = ((sent, ref, number) for ref, _ in surveyed for number in range(ref.n_ranges))
    described = map_on_cluster(
        client, describe_one, ranges, fallback=reject_after_tries(run, describe_fallback), **shares
    )
    for counts in [*(counts for _, counts in surveyed), *described]:
        total += counts
    whole = ((sent, ref) for ref, _ in surveyed)
    fallback = reject_after_tries(run, assemble_fallback)
    for counts in map_on_cluster(client, assemble_one, whole, fallback=fallback, tries=run.shard_tries):
        total += counts
        tell(counts)
    return total


def split_off_long(run: Run, ref: ShardRef, members: list[AudioObject]) -> list[ShardRef]:
    """Plans each of a shard's long members as a shard of its own, and the shard without them."""
    if not members:
        return []
    apart = {(item.uri, item.etag) for item in members}
    rest = [item for item in shard_plan.read_plan(run.lake, ref) if (item.uri, item.etag) not in apart]
    own = {shard_plan.shard_id([item], run.feature_version): [item] for item in members}
    parts = replan(run, ref, ({ref.id: rest} if rest else {}) | own)
    return [part for part in parts if part.id in own]
