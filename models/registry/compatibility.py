"""Does a model read the features that are computed here? Of others it would make scores that mean nothing."""

from collections.abc import Mapping
from typing import Any

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig


def expected_fingerprints(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The fingerprints, by feature set, that a model says it was trained on; none where it says nothing."""
    named = metadata.get("features") or {"egemaps": metadata.get("egemaps")}
    return {str(name): str(value) for name, value in named.items() if value}


def check_features(ref: ModelRef, config: FeatureConfig | None = None, *, extractor: str | None = None) -> None:
    """Raises ModelError where `ref` was trained on other features than `config` (default: this version's) makes.

    `extractor` is the digest of the speaker encoder in use; without it embeddings that `ref` may read are not judged.
    """
    computed = (config or FeatureConfig()).fingerprints() | ({"embeddings": extractor} if extractor else {})
    for name, wanted in expected_fingerprints(ref.metadata).items():
        found = computed.get(name, "none")
        if found != wanted and not (name == "embeddings" and extractor is None):
            raise ModelError(
                f"{ref.label} was trained on the feature set {name} {wanted}; this Undertone computes {name} {found}: "
                "train and promote a model for that, or go back to the version that the model was made with"
            )
