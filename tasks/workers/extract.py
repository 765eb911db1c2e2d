"""Worker functions of the extraction of shards and of long recordings, with fallbacks that reject."""

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
from models.registry.compatibility import shipped_extractor_config
from models.serving import embed_emotion, emotion_embedder, sliding_embedder, speaker_embedder
from tasks.run import staging_paths as paths
from tasks.run.context import Run


def extract_one(run: Run, shard: ShardRef) -> tuple[ShardRef, ShardExtraction]:
    """Extract a shard. Returns it with its counts and the recordings that are too long for one worker."""
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
    """Survey a long recording: find its ranges. The first of three steps."""
    _set_up_torch()
    counts = Counts()
    return survey(
        run.lake, shard, paths.long_recordings(run.id), config=run.config, resources=run.resources, counts=counts
    ), counts


def survey_fallback(run: Run, reject: Reject, shard: ShardRef) -> tuple[LongRef, Counts]:
    """Reject a recording whose survey kills workers."""
    return write_survey_reject(run.lake, shard, paths.long_recordings(run.id), reject), Counts()


def describe_one(run: Run, ref: LongRef, number: int) -> Counts:
    """Compute the features of one range of a long recording. The second step."""
    _set_up_torch()
    return extract_range(run.lake, ref, number, config=run.config, embedders=embedders(run), resources=run.resources)


def describe_fallback(run: Run, reject: Reject, ref: LongRef, number: int) -> Counts:
    """Reject a range that kills workers."""
    return reject_range(run.lake, ref, number, reject)


def assemble_one(run: Run, ref: LongRef) -> Counts:
    """Assemble the ranges of a long recording into its shard. The last step."""
    return assemble(
        run.lake, ref, version=run.feature_version, config=run.config, embedders=embedders(run), replace=run.force
    )


def assemble_fallback(run: Run, reject: Reject, ref: LongRef) -> Counts:
    """Assemble only the reject of a long recording that kills workers."""
    reject_range(run.lake, ref, 0, reject)
    return assemble_one(run, ref)


def _set_up_torch() -> None:
    """Set torch to one core a worker, and on a GPU to the precision of a CPU."""
    import torch

    torch.set_num_threads(1)
    use_full_precision()


def embedders(run: Run) -> dict[str, Embedder]:
    """Return the models that embed utterances, by the feature set of their vectors."""
    speaker, emotion, retry_policy = run.speaker, run.emotion, run.lake.retry_policy
    voices = Embedder(
        speaker_embedder(speaker, retry_policy), int(speaker.metadata["dim"]), sliding_embedder(speaker, retry_policy)
    )
    by_feature_set = {"embeddings": voices}
    if "feature_set" not in emotion.metadata:
        by_feature_set["emotion_embeddings"] = Embedder(embed_emotion, int(shipped_extractor_config()["dim"]))
    else:
        vectors = Embedder(emotion_embedder(emotion, retry_policy), int(emotion.metadata["feature_dim"]))
        by_feature_set[emotion.metadata["feature_set"]] = vectors
    return by_feature_set
