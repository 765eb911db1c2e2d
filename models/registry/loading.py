"""Load registered versions through MLflow: predictions, weights and cards.

Nothing is unpickled. Our own models are read without MLflow where that is possible (`models.serving`).
"""

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from models.registry.artifact_files import fetch_folder
from models.registry.compatibility import check_features
from models.registry.mlflow_api import MlflowException, Model, mlflow

_PICKLES = (".pkl", ".pickle", ".cloudpickle", ".joblib", ".pt", ".pth")

_load_lock = threading.Lock()  # without it, threads of one worker would each load the model


def load(ref: ModelRef) -> Any:
    """Return the version as a pyfunc, loaded once a process.

    Raises ModelError where it cannot be loaded, is a pickle, or was trained on features that are not computed here.
    """
    check_features(ref)
    try:
        with _load_lock:
            return _load(ref.uri, ref.metadata.get("registry"))
    except (MlflowException, OSError, ImportError, ModelError) as error:
        raise ModelError(f"{ref.label} cannot be loaded from {ref.uri}: {error}") from error


def predict(ref: ModelRef, data: Any) -> Any:
    """Return the version's predictions for `data`. Raises ModelError where the data does not fit its signature."""
    try:
        return load(ref).predict(data)
    except MlflowException as error:
        raise ModelError(
            f"{ref.label} does not take these features: {error.message}; train or promote one that does"
        ) from error


def weights_folder(ref: ModelRef) -> Path:
    """Return the local folder of the version's weights and configuration. Raises ModelError where there is none."""
    folders = [path.parent for path in (_fetch(ref) / "data").rglob("config.json")]
    if not folders:
        raise ModelError(f"{ref.label} holds no config.json: it is not one of Undertone's own models")
    return folders[0]


def read_card(ref: ModelRef) -> str | None:
    """Return the version's model card; None without one. Raises ModelError where the artifacts are gone."""
    found = sorted(_fetch(ref).rglob("README.md"), key=lambda path: len(path.parts))
    return found[0].read_text(encoding="utf-8") if found else None


@functools.lru_cache(maxsize=8)
def _load(uri: str, registry: str | None) -> Any:
    folder = str(fetch_folder(uri, registry))
    pickled = [name for flavour in Model.load(folder).flavors.values() for name in _pickle_files(flavour)]
    if pickled:
        raise ModelError(
            f"it is a pickle ({', '.join(pickled)}), and loading one runs whatever code it holds; register safetensors "
            "with a loader_module, or a model from code"
        )
    return mlflow.pyfunc.load_model(folder)


def _pickle_files(flavour: Mapping[str, Any]) -> list[str]:
    """Return the files of a flavour that are pickles by their names."""
    return [value for value in flavour.values() if isinstance(value, str) and value.endswith(_PICKLES)]


def _fetch(ref: ModelRef) -> Path:
    try:
        return fetch_folder(ref.uri, ref.metadata.get("registry"))
    except (MlflowException, OSError) as error:
        raise ModelError(f"{ref.label} cannot be fetched from {ref.uri}: {error}") from error
