"""Registered models on the workers: our own are read from their artifacts, without MLflow.

Importing MLflow costs a worker two seconds of CPU time, only to find a folder. Models from elsewhere, and artifacts
that a tracking server hands out itself, go through `models.registry.loading`. `retry_policy` applies to the store that
holds the artifacts.
"""

import functools
import importlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from torch import Tensor

from data_contracts.errors import ModelError
from data_contracts.lake import Lake
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import ModelRef
from features.extraction.utterances import Embed
from features.segmentation.speaker_changes import SlidingEmbedder
from models.emotion.extractor import shipped_extractor
from models.emotion.model import EmotionModel
from models.registry.artifact import EMOTION_LOADER, LOADERS, SELF_CONTAINED_LOADERS
from models.registry.compatibility import check_features
from models.speaker.pyfunc import SpeakerPyfunc

if TYPE_CHECKING:
    from models.pretrained.emotion import PretrainedEmotion

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_load_lock = threading.Lock()  # without it, threads of one worker would each load the model


def own_speaker_encoder(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> SpeakerPyfunc | None:
    """Return the encoder of our own or a pretrained speaker model; None for others, which only have `predict`.

    Raises ModelError where it cannot be loaded.
    """
    model = _raw_model(ref, retry_policy)
    return model if isinstance(model, SpeakerPyfunc) else None


def pretrained_emotion_model(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> "PretrainedEmotion":
    """Return a pretrained model, extractor and head. Raises ModelError where the version is none."""
    from models.pretrained.emotion import PretrainedEmotion

    model = _raw_model(ref, retry_policy)
    if not isinstance(model, PretrainedEmotion):
        raise ModelError(f"{ref.label} says that it has an extractor, and is none that was pulled: register it again")
    return model


def emotion_model(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> EmotionModel:
    """Return our own emotion model, loaded once a process. Raises ModelError where it cannot be loaded."""
    check_features(ref)
    with _load_lock:
        return _emotion_model(ref.uri, ref.metadata.get("registry"), retry_policy)


def emotion_embedder(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> Embed:
    """Return the extractor of a pretrained emotion model, as a function of waveforms and lengths."""
    return lambda waveform, lengths: pretrained_emotion_model(ref, retry_policy).embed(waveform, lengths).cpu().numpy()


def embed_emotion(waveform: Tensor, lengths: Tensor) -> np.ndarray:
    """Return the shipped extractor's vectors (batch, dim) of waveforms (batch, time) and lengths (batch,)."""
    return shipped_extractor().embed(waveform, lengths).cpu().numpy()


def speaker_embedder(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> Embed:
    """Return the speaker model as a function of waveforms and lengths."""

    def embed(waveform: Tensor, lengths: Tensor) -> np.ndarray:
        own = own_speaker_encoder(ref, retry_policy)
        if own is not None:
            return np.asarray(own.embed(waveform, lengths), np.float32)
        from models.registry import loading

        inputs = {"waveform": waveform.cpu().numpy(), "lengths": lengths.cpu().numpy().astype(np.int64)}
        return np.asarray(loading.predict(ref, inputs), np.float32)

    return embed


def sliding_embedder(ref: ModelRef, retry_policy: RetryPolicy = RetryPolicy()) -> SlidingEmbedder:
    """Return the sliding-window embedder, from the model's frames; a model without them embeds every window."""
    from models.speaker.sliding import sliding_by_crops

    def embed(waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float) -> list[list[np.ndarray]]:
        own = own_speaker_encoder(ref, retry_policy)
        if own is not None:
            return own.sliding_embeddings(waveform, lengths, windows_s, hop_s)
        return sliding_by_crops(
            speaker_embedder(ref, retry_policy), waveform, lengths, windows_s=windows_s, hop_s=hop_s
        )

    return embed


def _raw_model(ref: ModelRef, retry_policy: RetryPolicy) -> Any:
    """Return the object behind a version's pyfunc; None where it exposes none."""
    check_features(ref)
    with _load_lock:
        model = _load_own(ref.uri, retry_policy)
    if model is not None:
        return model
    from models.registry import loading

    try:
        return loading.load(ref).get_raw_model()
    except NotImplementedError:
        return None


@functools.lru_cache(maxsize=8)
def _load_own(uri: str, retry_policy: RetryPolicy) -> Any:
    """Load a version with our own loader; None where MLflow has to load it, or to explain the failure."""
    with _own_artifact(uri, retry_policy) as own:
        if own is None or own[0] == EMOTION_LOADER:
            return None
        try:
            return importlib.import_module(own[0])._load_pyfunc(str(own[1])).get_raw_model()
        except ModelError:
            return None


@functools.lru_cache(maxsize=4)
def _emotion_model(uri: str, tracking: str | None, retry_policy: RetryPolicy) -> EmotionModel:
    with _own_artifact(uri, retry_policy) as own:
        if own is not None and own[0] == EMOTION_LOADER:
            return EmotionModel.load(own[1])
    from models.registry import loading

    return EmotionModel.load(loading.weights_folder(ModelRef("emotion", "", uri, "", {"registry": tracking})))


@contextmanager
def _own_artifact(uri: str, retry_policy: RetryPolicy) -> Iterator[tuple[str, Path] | None]:
    """Yield a version's loader module, where it is one of ours, and the folder that it loads, as a local copy.

    None where only MLflow can tell. Raises TransientError and CredentialsError where the store does not answer.
    """
    if not uri.startswith(("s3://", "s3a://")):
        folder = Path(uri.removeprefix("file://"))
        try:
            found = _flavour((folder / "MLmodel").read_text())
        except OSError:
            found = None
        yield (found[0], folder / found[1]) if found else None
        return
    lake = Lake(uri, retry_policy)
    try:
        found = _flavour(lake.read("MLmodel").decode())
    except FileNotFoundError:
        found = None
    if (
        found is None or found[0] not in SELF_CONTAINED_LOADERS
    ):  # other loaders read weights later, from MLflow's lasting copy
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="undertone-model-") as place:
        for path in lake.sizes(found[1]):
            target = Path(place, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(lake.read(path))
        yield found[0], Path(place, found[1])


def _flavour(mlmodel: str) -> tuple[str, str] | None:
    """Return the loader module and data folder that an MLmodel file names, where the loader is one of ours."""
    try:
        flavour = yaml.safe_load(mlmodel)["flavors"]["python_function"]
        return (flavour["loader_module"], flavour["data"]) if flavour["loader_module"] in LOADERS else None
    except (KeyError, TypeError, yaml.YAMLError):
        return None
