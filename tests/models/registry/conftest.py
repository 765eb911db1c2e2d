"""An empty registry beside a shipped model of three features."""

import shutil
from pathlib import Path

import pytest
from helpers.emotion_model import save_emotion_model

from models.registry import mlflow_registry
from models.registry.mlflow_registry import Registry


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new MLflow database: making one takes seconds, so it is made once and copied."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    Registry(f"sqlite:///{path}").versions("emotion")
    return path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Return the folder of the shipped model."""
    return save_emotion_model(tmp_path / "shipped" / "emotion", seed=1)


@pytest.fixture
def models(tmp_path: Path, empty_database: Path, first: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry, beside a shipped model."""
    monkeypatch.setattr(mlflow_registry, "_SHIPPED", first.parent)
    database = tmp_path / "registry" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(empty_database, database)
    return Registry(f"sqlite:///{database}", str(tmp_path / "artifacts"))
