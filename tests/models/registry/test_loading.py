"""Loading of registered versions: predictions, missing or unfit artifacts, and pickles."""

import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.emotion_model import CLASSES, COMPUTED, FEATURES, save_emotion_model

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from models import serving
from models.emotion.model import EmotionModel
from models.registry import loading


def _features(n: int = 2, columns: tuple[str, ...] = FEATURES) -> pd.DataFrame:
    return pd.DataFrame(np.linspace(-1, 1, n * len(columns)).reshape(n, -1).astype(np.float32), columns=list(columns))


def test_a_registered_model_is_its_folder_without_a_pickle(models, tmp_path, first):
    ref = models.champion("emotion")
    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert {"weights.safetensors", "config.json", "README.md", "MLmodel"} <= {path.name for path in files}
    assert not [path for path in files if _is_pickle(path)]
    folder = loading.weights_folder(ref)
    assert (folder / "weights.safetensors").read_bytes() == (first / "weights.safetensors").read_bytes()


def test_it_predicts_what_the_folder_predicts(models, first):
    ref = models.champion("emotion")
    expected = EmotionModel.load(first).scores(torch.from_numpy(_features().to_numpy().copy()))
    predicted = loading.predict(ref, _features())
    assert list(predicted.columns) == list(CLASSES)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    backwards = loading.predict(ref, _features()[[*reversed(FEATURES)]])  # columns go by name
    np.testing.assert_allclose(backwards, expected, atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [_features(columns=FEATURES[:2]), _features().rename(columns={"jitter": "shimmer"}), _features().astype(str)],
    ids=["one missing", "another name", "text"],
)
def test_features_that_do_not_fit_are_refused(models, data):
    ref = models.champion("emotion")
    with pytest.raises(ModelError, match=r"(?s)emotion/1\+.* does not take these features: .*; train or promote one"):
        loading.predict(ref, data)


def test_a_model_whose_files_are_gone_is_refused(models, tmp_path):
    ref = models.champion("emotion")
    shutil.rmtree(tmp_path / "artifacts")
    for use in (loading.load, loading.weights_folder):
        with pytest.raises(ModelError, match=f"{ref.label[:9]}.* cannot be (loaded|fetched) from "):
            use(ref)
    for again in (lambda: models.champion("emotion"), lambda: models.version("emotion", "1")):
        with pytest.raises(ModelError, match=r"expected the artifacts of emotion/1 in .*; found none: .*; bring"):
            again()


def test_a_reference_that_leads_nowhere_is_refused(tmp_path):
    ref = ModelRef("emotion", "1", str(tmp_path / "nowhere"), "0" * 32)
    with pytest.raises(ModelError, match=r"(?s)emotion/1\+00000000 cannot be loaded from .*nowhere"):
        loading.load(ref)


def test_a_version_for_other_features_is_not_loaded(models, tmp_path):
    ref = models.register(
        "emotion", save_emotion_model(tmp_path / "old", 1, "beef"), alias="challenger", description=""
    )
    for use in (loading.load, serving.emotion_model, lambda ref: loading.predict(ref, _features())):
        with pytest.raises(ModelError, match=rf"feature set egemaps beef; this Undertone computes egemaps {COMPUTED}"):
            use(ref)


def _is_pickle(path: Path) -> bool:
    """Recognise a pickle by its name, by the first bytes of every protocol since 2, or as a zip of torch.save."""
    has_name = path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".cloudpickle"}
    return has_name or path.read_bytes()[:1] == b"\x80" or zipfile.is_zipfile(path)


def test_the_test_knows_a_pickle(tmp_path):
    (tmp_path / "by-content").write_bytes(pickle.dumps({"a": 1}))
    torch.save(torch.zeros(1), tmp_path / "by-torch")
    (tmp_path / "config.json").write_text("{}")
    assert [_is_pickle(tmp_path / name) for name in ("by-content", "by-torch", "config.json")] == [True, True, False]


class _TouchOnLoad:
    """Payload that touches a file when a pickle of it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


class _Pickled(mlflow.pyfunc.PythonModel):
    def __init__(self, payload: _TouchOnLoad) -> None:
        self.payload = payload

    def predict(self, context, model_input, params=None):
        return model_input


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_pickle_under_our_name_is_refused_and_never_opened(models, tmp_path, monkeypatch, allowed):
    """Otherwise write access to the registry would run code on every worker, whatever MLflow's own switch says."""
    models.champion("emotion")
    marker = tmp_path / "opened"
    mlflow.set_tracking_uri(models.uri)
    mlflow.set_registry_uri(models.uri)
    with mlflow.start_run(experiment_id=models._experiment()):
        mlflow.pyfunc.log_model(
            name="emotion",
            python_model=_Pickled(_TouchOnLoad(marker)),
            registered_model_name="emotion",
            pip_requirements=[],
        )
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", allowed)
    ref = models.version("emotion", "2")
    with pytest.raises(
        ModelError, match=r"emotion/2\+.* cannot be loaded from .*: it is a pickle \(python_model.pkl\)"
    ):
        loading.load(ref)
    assert not marker.exists()
