"""A linear classifier of one's own as a model: alone, adapted, and after saving."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from data_contracts.errors import ModelError
from models.emotion.dataset import FEATURE_NAMES
from models.emotion.linear import linear_model
from models.emotion.model import EmotionModel


@pytest.mark.parametrize("classes", [("anger", "sadness"), ("anger", "happiness", "neutral", "sadness")], ids=len)
def test_it_says_what_the_classifier_says(classes, tmp_path):
    random = np.random.default_rng(0)
    labels = random.integers(len(classes), size=60)
    features = (random.normal(size=(60, len(FEATURE_NAMES))) * 30 + labels[:, None]).astype(np.float32)
    compressed = np.sign(features) * np.log1p(np.abs(features))
    clip = FunctionTransformer(np.clip, kw_args={"a_min": -4, "a_max": 4})
    fitted = make_pipeline(StandardScaler(), clip, LogisticRegression(C=0.001)).fit(compressed, labels)
    wanted = fitted.predict_proba(compressed)
    scaler, _, classifier = (step for _, step in fitted.steps)
    parts = {"mean": scaler.mean_, "scale": scaler.scale_, "classes": classes, "recordings": ["ab" * 16]}
    made = linear_model(classifier.coef_, classifier.intercept_, **parts)
    made.save(tmp_path)
    values, speakers = torch.from_numpy(features), [f"speaker-{n % 3}" for n in range(60)]
    for model, tolerance in ((made, 1e-4), (EmotionModel.load(tmp_path), 5e-3)):  # stored as float16
        assert model.trained_on == {"ab" * 6}
        for said in (model.scores(values), model.scores(values, speakers)):
            np.testing.assert_allclose(said.numpy(), wanted, atol=tolerance)


def test_other_features_are_refused():
    with pytest.raises(ModelError, match=r"expected weights of 2 classes and 753 features; found \(2, 88\)"):
        linear_model(
            np.zeros((2, 88)), np.zeros(2), mean=np.zeros(88), scale=np.ones(88), classes=("a", "b"), recordings=()
        )
