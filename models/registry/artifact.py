"""A model's folder as a registered version: who loads it, what is told of it, and the name of its content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_contracts.fingerprint import digest
from models.metrics.names import flatten
from models.registry.compatibility import expected_fingerprints

MODEL_NAMES = ("emotion", "speaker")
"""The models that there are."""

EMOTION_LOADER = "models.emotion_pyfunc"
_OWN_LOADERS = {"emotion": EMOTION_LOADER, "speaker": "models.speaker"}
_PRETRAINED_LOADERS = {name: f"models.pulled_{name}" for name in _OWN_LOADERS}
SELF_CONTAINED_LOADERS = frozenset(_OWN_LOADERS.values())  # loaders that hold all of a model once they have read it
LOADERS = SELF_CONTAINED_LOADERS | frozenset(_PRETRAINED_LOADERS.values())


def loader_module(name: str, config: Mapping[str, Any]) -> str:
    """The module by whose `_load_pyfunc` MLflow loads it."""
    return _PRETRAINED_LOADERS[name] if "kind" in config else _OWN_LOADERS[name]


def version_metadata(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run needs to know of the version before it loads it."""
    keep = {
        "emotion": (
            *("classes", "egemaps", "features"),
            *("kind", "dimensions", "feature_set", "feature_dim", "extractor_digest"),
        ),
        "speaker": ("dim", "threshold", "calibration", "extractor_digest", "kind"),
    }[name]
    pulled = (config.get("training") or {}).get("pulled")
    return {key: config[key] for key in keep if key in config} | ({"pulled": pulled} if pulled else {})


def training_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """What it was trained with, flat, as MLflow's parameters are."""
    training = config.get("training") or {}
    told = ("seed", "recipe", "manifest", "code_version", "n_clips", "n_speakers")
    return flatten(
        {key: training[key] for key in told if key in training} | {"features": expected_fingerprints(config)}
    )


def content_digest(folder: Path) -> str:
    """Of weights and configuration; the card's words do not make another model."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")
    return digest("".join(f"{path.name}:{digest(path.read_bytes())}" for path in files).encode())
