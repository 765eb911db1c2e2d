"""Compatibility of a model with the features computed here; scores of other features would be meaningless."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig
from models import WEIGHTS


@functools.cache
def shipped_extractor_config() -> dict[str, Any]:
    """Return `extractor_digest` and `dim` of the shipped extractor of emotion embeddings, without loading it."""
    stored: dict[str, Any] = json.loads((WEIGHTS / "emotion_features" / "config.json").read_text())
    return {key: stored[key] for key in ("extractor_digest", "dim")}


def computed_fingerprints(config: FeatureConfig | None = None) -> dict[str, str]:
    """Return the fingerprint of each feature set that emotion models of our own are trained on."""
    digest = str(shipped_extractor_config()["extractor_digest"])
    return (config or FeatureConfig()).fingerprints() | {"emotion_embeddings": digest}


def expected_fingerprints(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprints, by feature set, of a model's training; none where its metadata has none."""
    fingerprints = metadata.get("features") or {"egemaps": metadata.get("egemaps")}
    return {str(name): str(value) for name, value in fingerprints.items() if value}


def check_features(ref: ModelRef, config: FeatureConfig | None = None, *, extractor: str | None = None) -> None:
    """Raise ModelError where `ref` was trained on other features than `config` (default: this version's) makes.

    `extractor` is the digest of the speaker encoder in use; without it the embeddings are not checked.
    """
    computed = computed_fingerprints(config) | ({"embeddings": extractor} if extractor else {})
    for name, wanted in expected_fingerprints(ref.metadata).items():
        found = computed.get(name, "none")
        if found != wanted and not (name == "embeddings" and extractor is None):
            raise ModelError(
                f"{ref.label} was trained on the feature set {name} {wanted}; this Undertone computes {name} {found}: "
                "train and promote a model for that, or go back to the version that the model was made with"
            )
