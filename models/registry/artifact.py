"""A model's folder as a registered version: loader module, metadata, parameters and content digest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_contracts.fingerprint import digest
from models.metrics.names import flatten
from models.registry.compatibility import expected_fingerprints

MODEL_NAMES = ("emotion", "speaker")
"""Names of the models."""

EMOTION_LOADER = "models.emotion_pyfunc"
_OWN_LOADERS = {"emotion": EMOTION_LOADER, "speaker": "models.speaker"}
_PRETRAINED_LOADERS = {name: f"models.pulled_{name}" for name in _OWN_LOADERS}
SELF_CONTAINED_LOADERS = frozenset(_OWN_LOADERS.values())  # need no file once they have loaded
LOADERS = SELF_CONTAINED_LOADERS | frozenset(_PRETRAINED_LOADERS.values())


def loader_module(name: str, config: Mapping[str, Any]) -> str:
    """Return the module whose `_load_pyfunc` MLflow calls; registries store its name."""
    return _PRETRAINED_LOADERS[name] if "kind" in config else _OWN_LOADERS[name]


def version_metadata(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that a run needs before it loads the version."""
    keep = {
        "emotion": (
            *("classes", "egemaps", "features"),
            *("kind", "dimensions", "feature_set", "feature_dim", "extractor_digest"),
        ),
        "speaker": ("dim", "threshold", "calibration", "log_odds", "centre", "extractor_digest", "kind"),
    }[name]
    pulled = (config.get("training") or {}).get("pulled")
    found = {key: config[key] for key in keep if key in config} | ({"pulled": pulled} if pulled else {})
    return found | ({"has_logit_statistics": True} if "logit_statistics" in config else {})


def training_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the training, flat, as MLflow stores them."""
    training = config.get("training") or {}
    keys = ("seed", "recipe", "manifest", "code_version", "n_clips", "n_speakers")
    return flatten(
        {key: training[key] for key in keys if key in training} | {"features": expected_fingerprints(config)}
    )


def content_digest(folder: Path) -> str:
    """Return the digest of weights and configuration, without the card."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")
    return digest("".join(f"{path.name}:{digest(path.read_bytes())}" for path in files).encode())
