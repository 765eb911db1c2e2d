"""Stage 3: one Dask future a shard; of a long recording, one a stretch of time."""

from collections.abc import Callable
from typing import Any

from data_contracts.reasons import Reject
from data_contracts.records import AudioObject, Counts, ShardRef
from features import shards
from features.describe import Embedder
from features.extract import Extracted, extract_shard
from features.long import LongRef, assemble, describe_range, give_up, survey, unsurveyed
from models.serving import along, encoder, extractor
from tasks import run_staging_paths as paths
from tasks.cluster import GPU
from tasks.run import Run
from tasks.scatter import scatter
from tasks.smaller import as_replanned, replan, smaller, without
from tasks.stage import stage


@stage
def extract(run: Run, refs: list[ShardRef], client: Any, *, progress: Callable[[Counts], Any] | None = None) -> Counts:
    """Extracts every shard and returns the counts of all; `progress` hears of each as it comes.

    Recordings that turn out to be long come last, each a shard of its own, and are split over all workers by time.
    """
    total, long, sent = Counts(), list[ShardRef](), run.sent
    tell = progress or (lambda _: None)
    largest_first = sorted(as_replanned(run, refs), key=lambda ref: (-ref.n_bytes, ref.id))
    shares: Any = {"tries": run.shard_tries, "resource": GPU}
    items = ((sent, ref) for ref in largest_first)
    for ref, done in scatter(client, extract_one, items, fallback=smaller(run, embedders(run)), **shares):
        long += set_apart(run, ref, done.long)
        total += done.counts
        tell(done.counts)
    items = ((sent, ref) for ref in long)
    surveyed = list(scatter(client, survey_one, items, fallback=without(run, unsurveyed_one), **shares))
    ranges = ((sent, ref, number) for ref, _ in surveyed for number in range(ref.n_ranges))
    described = scatter(client, describe_one, ranges, fallback=without(run, undescribed_one), **shares)
    for counts in [*(counts for _, counts in surveyed), *described]:
        total += counts
    whole = ((sent, ref) for ref, _ in surveyed)
    fallback = without(run, unassembled_one)
    for counts in scatter(client, assemble_one, whole, fallback=fallback, tries=run.shard_tries):
        total += counts
        tell(counts)
    return total


def set_apart(run: Run, ref: ShardRef, members: list[AudioObject]) -> list[ShardRef]:
    """Plans each of a shard's long members as a shard of its own, and the shard without them."""
    if not members:
        return []
    apart = {(item.uri, item.etag) for item in members}
    rest = [item for item in shards.read_plan(run.lake, ref) if (item.uri, item.etag) not in apart]
    own = {shards.shard_id([item], run.feature_version): [item] for item in members}
    parts = replan(run, ref, ({ref.id: rest} if rest else {}) | own)
    return [part for part in parts if part.id in own]


def extract_one(run: Run, shard: ShardRef) -> tuple[ShardRef, Extracted]:
    """What a worker does: it opens the encoder and the lake, and returns counts, and what is too long for it."""
    _settle()
    return shard, extract_shard(
        run.lake,
        shard,
        version=run.feature_version,
        config=run.config,
        embedders=embedders(run),
        resources=run.resources,
        replace=run.force,
    )


def survey_one(run: Run, shard: ShardRef) -> tuple[LongRef, Counts]:
    """What a worker does with a long recording first."""
    _settle()
    counts = Counts()
    return survey(
        run.lake, shard, paths.long_recordings(run.id), config=run.config, resources=run.resources, counts=counts
    ), counts


def unsurveyed_one(run: Run, reject: Reject, shard: ShardRef) -> tuple[LongRef, Counts]:
    """Instead, where workers die over it."""
    return unsurveyed(run.lake, shard, paths.long_recordings(run.id), reject), Counts()


def describe_one(run: Run, ref: LongRef, number: int) -> Counts:
    """What workers then do, each with a stretch of it."""
    _settle()
    return describe_range(run.lake, ref, number, config=run.config, embedders=embedders(run), resources=run.resources)


def undescribed_one(run: Run, reject: Reject, ref: LongRef, number: int) -> Counts:
    """Instead, where workers die over it."""
    return give_up(run.lake, ref, number, reject)


def assemble_one(run: Run, ref: LongRef) -> Counts:
    """What a worker does with it last."""
    return assemble(
        run.lake, ref, version=run.feature_version, config=run.config, embedders=embedders(run), replace=run.force
    )


def unassembled_one(run: Run, reject: Reject, ref: LongRef) -> Counts:
    """Instead, where workers die over it: nothing but the reject is left to be put together."""
    give_up(run.lake, ref, 0, reject)
    return assemble_one(run, ref)


def _settle() -> None:
    """Of torch, where shards are computed: a core a worker, and on a GPU the precision of a core."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False


def embedders(run: Run) -> dict[str, Embedder]:
    """The models that hear utterances, by the feature set that holds their vectors."""
    heard = {"embeddings": Embedder(encoder(run.speaker), int(run.speaker.metadata["dim"]), along(run.speaker))}
    if "feature_set" in run.emotion.metadata:
        heard[run.emotion.metadata["feature_set"]] = Embedder(
            extractor(run.emotion), int(run.emotion.metadata["feature_dim"])
        )
    return heard
