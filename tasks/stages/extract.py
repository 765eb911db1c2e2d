"""Stage 3: feature extraction, one Dask future a shard; for a long recording, one a range of time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from data_contracts.records import Counts, ShardRef
from tasks.compute.bisect import bisect_shard, reject_after_tries, replanned_shards, split_off_long
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

Report = Callable[[Counts], Any]


@stage
def extract(run: Run, refs: list[ShardRef], client: Any, *, progress: Report | None = None) -> Counts:
    """Extract every shard and return the counts of all; `progress` is called with the counts of each as it completes.

    Recordings that turn out to be long come last, each a shard of its own, and are split over all workers by time.
    """
    total, long_refs = Counts(), list[ShardRef]()
    report: Report = progress or (lambda _: None)
    worker_run = run.for_workers()
    items = ((worker_run, ref) for ref in sorted(replanned_shards(run, refs), key=lambda ref: (-ref.n_bytes, ref.id)))
    fallback = bisect_shard(run, embedders(run))
    extractions = map_on_cluster(client, extract_one, items, fallback=fallback, tries=run.shard_tries, resource=GPU)
    for ref, extraction in extractions:
        long_refs += split_off_long(run, ref, extraction.long)
        total += extraction.counts
        report(extraction.counts)
    return total + _extract_long(run, long_refs, client, report)


def _extract_long(run: Run, refs: Sequence[ShardRef], client: Any, report: Report) -> Counts:
    """Survey every recording, describe its ranges, and assemble them; each step on all workers."""
    total, worker_run = Counts(), run.for_workers()
    map_long = partial(map_on_cluster, client, tries=run.shard_tries)
    items = ((worker_run, ref) for ref in refs)
    surveys = list(map_long(survey_one, items, fallback=reject_after_tries(run, survey_fallback), resource=GPU))
    ranges = ((worker_run, ref, number) for ref, _ in surveys for number in range(ref.n_ranges))
    described = map_long(describe_one, ranges, fallback=reject_after_tries(run, describe_fallback), resource=GPU)
    for counts in [*(counts for _, counts in surveys), *described]:
        total += counts
    described_refs = ((worker_run, ref) for ref, _ in surveys)
    for counts in map_long(assemble_one, described_refs, fallback=reject_after_tries(run, assemble_fallback)):
        total += counts
        report(counts)
    return total
