"""Compatibility of a model with the features computed here; scores of other features would be meaningless."""

from collections.abc import Mapping
from typing import Any

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig


def expected_fingerprints(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprints, by feature set, of a model's training; none where its metadata has none."""
    fingerprints = metadata.get("features") or {"egemaps": metadata.get("egemaps")}
    return {str(name): str(value) for name, value in fingerprints.items() if value}


def check_features(ref: ModelRef, config: FeatureConfig | None = None, *, extractor: str | None = None) -> None:
    """Raise ModelError where `ref` was trained on other features than `config` (default: this version's) makes.

    `extractor` is the digest of the speaker encoder in use; without it the embeddings are not checked.
    """
    computed = (config or FeatureConfig()).fingerprints() | ({"embeddings": extractor} if extractor else {})
    for name, wanted in expected_fingerprints(ref.metadata).items():
        found = computed.get(name, "none")
        if found != wanted and not (name == "embeddings" and extractor is None):
            raise ModelError(
                f"{ref.label} was trained on the feature set {name} {wanted}; this Undertone computes {name} {found}: "
                "train and promote a model for that, or go back to the version that the model was made with"
            )
