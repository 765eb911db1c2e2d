"""Registered models where shards are computed: our own are read from their artifacts, without MLflow.

Importing MLflow takes a worker two seconds of CPU time, to be asked for nothing but a folder. What is of somebody
else's make, and artifacts that a tracking server hands out itself, go through `models.registry`.
"""

import functools
import importlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError

from data_contracts.errors import ModelError
from data_contracts.lake import Lake
from data_contracts.records import ModelRef
from models.artifact import EMOTION_LOADER, LOADERS
from models.compatibility import check_features
from models.emotion import EmotionModel

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_one_at_a_time = threading.Lock()  # threads of one worker would load the same model beside each other
_fetched: list[tempfile.TemporaryDirectory[str]] = []  # for as long as the process lives


def heard_by(ref: ModelRef) -> Any:
    """What hears for a speaker model: of our own kinds with `embed` and `along`, which take tensors on any device.

    None for somebody else's, which has `predict` alone. Raises ModelError where it cannot be loaded.
    """
    check_features(ref)
    with _one_at_a_time:
        model = _raw(ref.uri)
    if model is not None:
        return model
    from models import registry

    try:
        return registry.load(ref).get_raw_model()
    except NotImplementedError:
        return None


def pulled_emotion(ref: ModelRef) -> Any:
    """A version brought in from elsewhere, extractor and head (`PulledEmotion`). Raises ModelError where it is none."""
    model = heard_by(ref)
    if not hasattr(model, "extractor"):
        raise ModelError(f"{ref.label} says that it has an extractor, and is none that was pulled: register it again")
    return model


def emotion_model(ref: ModelRef) -> EmotionModel:
    """The version itself, which adapts to speakers; loaded once a process. Raises ModelError where it cannot be."""
    check_features(ref)
    with _one_at_a_time:
        return _emotion_model(ref.uri, ref.metadata.get("registry"))


@functools.lru_cache(maxsize=8)
def _raw(uri: str) -> Any:
    """What hears, by our own loader; None where that is MLflow's to load, or to explain."""
    own = _own(uri)
    try:
        return None if own is None else importlib.import_module(own[0])._load_pyfunc(str(own[1])).get_raw_model()
    except ModelError:
        return None


@functools.lru_cache(maxsize=4)
def _emotion_model(uri: str, tracking: str | None) -> EmotionModel:
    own = _own(uri)
    if own is not None and own[0] == EMOTION_LOADER:
        return EmotionModel.load(own[1])
    from models import registry

    return EmotionModel.load(registry.weights_folder(ModelRef("emotion", "", uri, "", {"registry": tracking})))


@functools.lru_cache(maxsize=8)
def _own(uri: str) -> tuple[str, Path] | None:
    """A version's loader, where that is ours, and the folder that it loads; None where only MLflow can tell."""
    try:
        folder = _folder(uri)
        said = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
        return (said["loader_module"], folder / said["data"]) if said.get("loader_module") in LOADERS else None
    except (OSError, BotoCoreError, KeyError, TypeError, yaml.YAMLError):
        return None


def _folder(uri: str) -> Path:
    """The artifacts on this machine. Raises OSError where they are not there, or only MLflow knows where."""
    if not uri.startswith(("s3://", "s3a://")):
        return Path(uri.removeprefix("file://"))
    _fetched.append(tempfile.TemporaryDirectory(prefix="undertone-model-"))
    there, here = Lake(uri), _fetched[-1].name
    there.fs.get(f"{there.path}/", f"{here}/", recursive=True)
    return Path(here)
