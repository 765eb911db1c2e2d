"""Versions, aliases and what a registered model promises, with an emotion model of three features."""

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
from mlflow import MlflowClient

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig
from models import serving
from models.emotion.model import EmotionModel, Member
from models.emotion.speaker_adaptation import Prior
from models.registry import loading, mlflow_registry
from models.registry.mlflow_registry import Registry

FEATURES, CLASSES = ("f0_mean", "loudness", "jitter"), ("calm", "angry")
COMPUTED = FeatureConfig().fingerprints()["egemaps"]


def _shipped(folder: Path, seed: int, egemaps: str = COMPUTED, training: dict[str, Any] | None = None) -> Path:
    torch.manual_seed(seed)
    ones = torch.ones(len(FEATURES))
    EmotionModel(
        [Member(len(FEATURES), len(CLASSES), hidden=2)],
        linear=Member(len(FEATURES), len(CLASSES), hidden=0),
        mean=0 * ones,
        scale=ones,
        prior=Prior(ones, ones, ones, torch.zeros(len(CLASSES), len(FEATURES))),
        feature_names=FEATURES,
        features={"egemaps": egemaps},
        classes=CLASSES,
        training=training,
    ).save(folder)
    (folder / "README.md").write_text("A card.\n")
    return folder


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make one: it is made once and copied."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    Registry(f"sqlite:///{path}").versions("emotion")
    return path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return _shipped(tmp_path / "shipped" / "emotion", seed=1)


@pytest.fixture
def models(tmp_path: Path, empty_database: Path, first: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry, beside a shipped model."""
    monkeypatch.setattr(mlflow_registry, "_SHIPPED", first.parent)
    database = tmp_path / "registry" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(empty_database, database)
    return Registry(f"sqlite:///{database}", str(tmp_path / "artifacts"))


def _features(n: int = 2, columns: tuple[str, ...] = FEATURES) -> pd.DataFrame:
    return pd.DataFrame(np.linspace(-1, 1, n * len(columns)).reshape(n, -1).astype(np.float32), columns=list(columns))


def test_the_shipped_model_is_registered_on_first_use_and_once(models):
    assert models.versions("emotion") == []
    ref = models.champion("emotion")
    assert models.champion("emotion") == ref
    assert [(item.version, item.aliases) for item in models.versions("emotion")] == [("1", ("champion",))]
    assert (ref.name, ref.version) == ("emotion", "1")
    assert ref.metadata["classes"] == list(CLASSES)
    assert ref.metadata["features"] == {"egemaps": COMPUTED}
    assert ref.label == f"emotion/1+{ref.digest[:8]}"
    assert models.versions("emotion")[0].digest == ref.digest


def test_versions_aliases_and_promotion(models, tmp_path):
    champion = models.champion("emotion")
    second = _shipped(tmp_path / "second", seed=2)
    challenger = models.register("emotion", second, alias="challenger", description="of today", metrics={"uar": 0.5})
    assert challenger.digest != champion.digest
    assert models.champion("emotion") == champion  # nothing is promoted by being there
    assert models.version("emotion", "challenger") == models.version("emotion", "@challenger") == challenger
    assert models.version("emotion", "2") == challenger
    assert models.promote("emotion", "challenger") == challenger
    assert models.champion("emotion") == challenger
    newest, oldest = models.versions("emotion")
    assert (newest.version, newest.aliases, newest.description) == ("2", ("challenger", "champion"), "of today")
    assert (oldest.version, oldest.aliases) == ("1", ("previous",))
    models.promote("emotion", "2")  # again: the one before stays the one before
    assert models.version("emotion", "previous") == champion
    models.promote("emotion", "previous")
    assert models.champion("emotion") == champion
    assert models.version("emotion", "previous") == challenger
    run = MlflowClient(models.uri).search_runs([models._experiment()], "metrics.uar = 0.5")
    assert len(run) == 1


def test_a_new_version_of_the_features_brings_its_model_along(models, first):
    """A lake of the version before had its champion for features that nobody computed any more: every night failed."""
    before = models.champion("emotion")
    _shipped(first, seed=2, egemaps="beef")
    now = models.champion("emotion")
    assert (now.version, now.metadata["features"]) == ("2", {"egemaps": "beef"})
    assert models.champion("emotion") == now
    assert models.version("emotion", "previous") == before
    models.promote("emotion", "1")  # a wish is a wish
    assert models.champion("emotion") == before


def test_a_champion_of_ones_own_stays(models, first, tmp_path):
    models.champion("emotion")
    own = models.register("emotion", _shipped(tmp_path / "own", seed=3), alias="champion", description="trained here")
    _shipped(first, seed=2, egemaps="beef")
    assert models.champion("emotion") == own


def test_a_model_just_trained_has_no_card(models, tmp_path):
    """`undertone models train` ended in a FileNotFoundError: the card of the shipped models is written by hand."""
    folder = _shipped(tmp_path / "trained", seed=2)
    (folder / "README.md").unlink()
    assert models.register("emotion", folder, alias="challenger", description="").version == "1"


def test_what_is_not_there_is_answered_with_what_is(models):
    with pytest.raises(ModelError, match=r"emotion has no version '7' in sqlite:.*; found versions: none"):
        models.version("emotion", "7")
    models.champion("emotion")
    for version in ("7", "challenger"):
        with pytest.raises(ModelError, match=f"no version '{version}' in .*; found versions: 1$"):
            models.version("emotion", version)
        with pytest.raises(ModelError, match=f"no version '{version}'"):
            models.promote("emotion", version)
    MlflowClient(models.uri).delete_registered_model_alias("emotion", "champion")
    with pytest.raises(ModelError, match=r"no @champion .*run `undertone models promote emotion N`"):
        models.champion("emotion")


def test_the_digest_is_of_weights_and_configuration_not_of_the_card(models, first, tmp_path):
    champion = models.champion("emotion")
    (first / "README.md").write_text("Better words.\n")
    assert models.register("emotion", first, alias="challenger", description="").digest == champion.digest
    config = first / "config.json"
    config.write_text(config.read_text().replace('"temperature": 1.0', '"temperature": 2.0'))
    assert models.register("emotion", first, alias="challenger", description="").digest != champion.digest


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
        with pytest.raises(ModelError, match=r"emotion/1 cannot be read from .*; are the artifacts gone"):
            again()


def test_a_reference_that_leads_nowhere_is_refused(tmp_path):
    ref = ModelRef("emotion", "1", str(tmp_path / "nowhere"), "0" * 32)
    with pytest.raises(ModelError, match=r"(?s)emotion/1\+00000000 cannot be loaded from .*nowhere"):
        loading.load(ref)


def test_only_our_names_are_registered(models, first):
    with pytest.raises(ModelError, match="expected one of emotion, speaker; found 'mood'"):
        models.register("mood", first, alias="champion", description="")


def _is_pickle(path: Path) -> bool:
    """By name, by the first bytes of every protocol since 2, or a zip as torch.save makes it."""
    named = path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".cloudpickle"}
    return named or path.read_bytes()[:1] == b"\x80" or zipfile.is_zipfile(path)


def test_the_test_knows_a_pickle(tmp_path):
    (tmp_path / "by-content").write_bytes(pickle.dumps({"a": 1}))
    torch.save(torch.zeros(1), tmp_path / "by-torch")
    (tmp_path / "config.json").write_text("{}")
    assert [_is_pickle(tmp_path / name) for name in ("by-content", "by-torch", "config.json")] == [True, True, False]


class _Opened:
    """What a pickle may do to whoever loads it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


class _Pickled(mlflow.pyfunc.PythonModel):
    def __init__(self, payload: _Opened) -> None:
        self.payload = payload

    def predict(self, context, model_input, params=None):
        return model_input


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_pickle_under_our_name_is_refused_and_never_opened(models, tmp_path, monkeypatch, allowed):
    """Whoever may write to the registry could else run code on every worker, whatever MLflow's own switch says."""
    models.champion("emotion")
    marker = tmp_path / "opened"
    mlflow.set_tracking_uri(models.uri)
    mlflow.set_registry_uri(models.uri)
    with mlflow.start_run(experiment_id=models._experiment()):
        mlflow.pyfunc.log_model(
            name="emotion",
            python_model=_Pickled(_Opened(marker)),
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


def test_a_version_for_other_features_is_not_loaded(models, tmp_path):
    ref = models.register("emotion", _shipped(tmp_path / "old", 1, "beef"), alias="challenger", description="")
    for use in (loading.load, serving.emotion_model, lambda ref: loading.predict(ref, _features())):
        with pytest.raises(ModelError, match=rf"feature set egemaps beef; this Undertone computes egemaps {COMPUTED}"):
            use(ref)


def test_the_run_tells_data_recipe_and_every_figure(models, tmp_path):
    training = {
        "seed": 7,
        "recipe": {"steps": 3, "speeds": [0.9, 1.1]},
        "manifest": "cafe",
        "code_version": "0.1.0",
        "n_clips": 12,
        "n_speakers": 3,
        "data": {"lab": {"clips": 12, "speakers": 3, "licences": ["CC BY 4.0"]}},
    }
    metrics = {"uar": 0.5, "uar_interval": [0.4, float("nan")], "by_corpus": {"a lab & co": {"n": 3}}, "protocol": "so"}
    folder = _shipped(tmp_path / "second", 2, training=training)
    ref = models.register("emotion", folder, alias="challenger", description="", metrics=metrics)
    (version,) = models.versions("emotion")
    assert version.tags["undertone.licence"] == "CC BY 4.0"
    figures, card = models.metrics_and_card(ref)
    assert figures == {"uar": 0.5, "uar_interval/0": 0.4, "by_corpus/a lab _ co/n": 3.0}
    assert Path(card).read_text() == "A card.\n" == loading.read_card(ref)
    run = MlflowClient(models.uri).search_runs([models._experiment()])[0]
    assert run.data.params == {
        "digest": ref.digest,
        "seed": "7",
        "recipe/steps": "3",
        "recipe/speeds/0": "0.9",
        "recipe/speeds/1": "1.1",
        "manifest": "cafe",
        "code_version": "0.1.0",
        "n_clips": "12",
        "n_speakers": "3",
        "features/egemaps": COMPUTED,
    }


def test_rolling_back_twice_is_as_before(models, tmp_path):
    first = models.champion("emotion")
    second = models.register("emotion", _shipped(tmp_path / "second", 2), alias="challenger", description="")
    with pytest.raises(ModelError, match="no version 'previous'"):
        models.rollback("emotion")
    models.promote("emotion", "2")
    assert models.rollback("emotion") == first == models.champion("emotion")
    assert models.rollback("emotion") == second == models.champion("emotion")
    assert models.version("emotion", "previous") == first
