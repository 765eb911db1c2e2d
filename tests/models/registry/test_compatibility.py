"""Compatibility of models with the features computed here."""

import pytest

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig
from models.registry.compatibility import check_features, expected_fingerprints

HERE = FeatureConfig().fingerprints()


def _ref(**metadata: object) -> ModelRef:
    return ModelRef("emotion", "3", "", "9f86d081", dict(metadata))


def test_features_are_named_by_set_or_in_the_old_way() -> None:
    assert expected_fingerprints({"features": {"egemaps": "a", "embeddings": "b"}}) == {
        "egemaps": "a",
        "embeddings": "b",
    }
    assert expected_fingerprints({"egemaps": "a"}) == {"egemaps": "a"}
    assert expected_fingerprints({}) == {}


@pytest.mark.parametrize("metadata", [{}, {"egemaps": HERE["egemaps"]}, {"features": HERE}, {"dim": 128}])
def test_what_is_computed_here_fits(metadata: dict[str, object]) -> None:
    check_features(_ref(**metadata))


@pytest.mark.parametrize("features", [{"egemaps": "beef"}, {**HERE, "egemaps": "beef"}, {**HERE, "wav2vec2": "beef"}])
def test_another_version_or_another_set_is_refused(features: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"emotion/3\+9f86d081 was trained on the feature set .* beef; this Undertone"):
        check_features(_ref(features=features))


def test_embeddings_are_judged_where_the_encoder_is_known() -> None:
    ref = _ref(features={"embeddings": "abc"})
    check_features(ref)
    check_features(ref, extractor="abc")
    with pytest.raises(ModelError, match="embeddings abc; this Undertone computes embeddings def"):
        check_features(ref, extractor="def")
