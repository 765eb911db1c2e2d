"""Extraction of shards and of long recordings, as workers do it."""

from data_contracts.records import Counts, ShardRef
from data_contracts.rejects import Reject
from features.extraction.long_recording import (
    LongRef,
    assemble,
    extract_range,
    reject_range,
    survey,
    write_survey_reject,
)
from features.extraction.shard import ShardExtraction, extract_shard
from features.extraction.utterances import Embedder
from features.resources import use_full_precision
from models.serving import emotion_embedder, sliding_embedder, speaker_embedder
from tasks.run import staging_paths as paths
from tasks.run.context import Run


def extract_one(run: Run, shard: ShardRef) -> tuple[ShardRef, ShardExtraction]:
    """What a worker does: it opens the encoder and the lake, and returns counts, and what is too long for it."""
    _set_up_torch()
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
    _set_up_torch()
    counts = Counts()
    return survey(
        run.lake, shard, paths.long_recordings(run.id), config=run.config, resources=run.resources, counts=counts
    ), counts


def survey_fallback(run: Run, reject: Reject, shard: ShardRef) -> tuple[LongRef, Counts]:
    """Instead, where workers die over it."""
    return write_survey_reject(run.lake, shard, paths.long_recordings(run.id), reject), Counts()


def describe_one(run: Run, ref: LongRef, number: int) -> Counts:
    """What workers then do, each with a stretch of it."""
    _set_up_torch()
    return extract_range(run.lake, ref, number, config=run.config, embedders=embedders(run), resources=run.resources)


def describe_fallback(run: Run, reject: Reject, ref: LongRef, number: int) -> Counts:
    """Instead, where workers die over it."""
    return reject_range(run.lake, ref, number, reject)


def assemble_one(run: Run, ref: LongRef) -> Counts:
    """What a worker does with it last."""
    return assemble(
        run.lake, ref, version=run.feature_version, config=run.config, embedders=embedders(run), replace=run.force
    )


def assemble_fallback(run: Run, reject: Reject, ref: LongRef) -> Counts:
    """Instead, where workers die over it: nothing but the reject is left to be put together."""
    reject_range(run.lake, ref, 0, reject)
    return assemble_one(run, ref)


def _set_up_torch() -> None:
    """Of torch, where shards are computed: a core a worker, and on a GPU the precision of a core."""
    import torch

    torch.set_num_threads(1)
    use_full_precision()


def embedders(run: Run) -> dict[str, Embedder]:
    """The models that hear utterances, by the feature set that holds their vectors."""
    speaker, emotion, retry_policy = run.speaker, run.emotion, run.lake.retry_policy
    voices = Embedder(
        speaker_embedder(speaker, retry_policy), int(speaker.metadata["dim"]), sliding_embedder(speaker, retry_policy)
    )
    heard = {"embeddings": voices}
    if "feature_set" in emotion.metadata:
        vectors = Embedder(emotion_embedder(emotion, retry_policy), int(emotion.metadata["feature_dim"]))
        heard[emotion.metadata["feature_set"]] = vectors
    return heard
