"""Stage 3: one Dask future a shard."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from data_contracts.records import Counts, ModelRef, ShardRef
from features.changes import Along
from features.extract import Embed, Embedder, extract_shard
from tasks.run import Run
from tasks.scatter import scatter
from tasks.stage import stage


@stage
def extract(run: Run, refs: list[ShardRef], client: Any, *, progress: Callable[[Counts], Any] | None = None) -> Counts:
    """Extracts every shard and returns the counts of all; `progress` hears of each as it comes."""
    total = Counts()
    largest_first = sorted(refs, key=lambda ref: (-ref.n_bytes, ref.id))
    for counts in scatter(client, extract_one, [(run, ref) for ref in largest_first], tries=run.shard_tries):
        total += counts
        if progress:
            progress(counts)
    return total


def extract_one(run: Run, shard: ShardRef) -> Counts:
    """What a worker does: it opens the encoder and the lake, and returns counts."""
    import torch

    torch.set_num_threads(1)  # a worker a core
    return extract_shard(
        run.lake,
        shard,
        version=run.feature_version,
        config=run.config,
        embedders=embedders(run),
        n_readers=run.readers,
        replace=run.force,
    )


def embedders(run: Run) -> dict[str, Embedder]:
    """The models that hear utterances, by the feature set that holds their vectors."""
    heard = {"embeddings": Embedder(encoder(run.speaker), int(run.speaker.metadata["dim"]), along(run.speaker))}
    if "feature_set" in run.emotion.metadata:
        heard[run.emotion.metadata["feature_set"]] = Embedder(
            extractor(run.emotion), int(run.emotion.metadata["feature_dim"])
        )
    return heard


def extractor(ref: ModelRef) -> Embed:
    """What a pulled emotion model's head reads, as a function of waveforms and lengths."""
    from models import registry

    return lambda waveform, lengths: registry.pulled_emotion(ref).embed(waveform, lengths).cpu().numpy()


def encoder(ref: ModelRef) -> Embed:
    """The speaker model as a function of waveforms and lengths."""
    from models import registry

    def embed(waveform: Tensor, lengths: Tensor) -> np.ndarray:
        asked = {"waveform": waveform.cpu().numpy(), "lengths": lengths.cpu().numpy().astype(np.int64)}
        return np.asarray(registry.predict(ref, asked), np.float32)

    return embed


def along(ref: ModelRef) -> Along:
    """Who speaks along an utterance, from the model's frames; a model that does not show them hears every window."""
    from models import registry
    from models.along import by_crops

    def listen(waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float) -> list[list[np.ndarray]]:
        own: Along | None = registry.speaker_along(ref)
        if own is not None:
            return own(waveform, lengths, windows_s, hop_s)
        return by_crops(encoder(ref), waveform, lengths, windows_s=windows_s, hop_s=hop_s)

    return listen
