"""Registration of a model folder: an MLflow run with its data, recipe and figures, and a version of its artifacts.

The artifacts lie in the run's own, so that servers of MLflow 2 take them too.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.metrics.names import finite_numbers
from models.registry import artifact
from models.registry.cards import training_licences
from models.registry.licences import combined_licence
from models.registry.mlflow_api import Metric, MlflowClient, MlflowException, Model, Param, mlflow
from models.registry.signature import signature_of

_FOLDER = "model"
_MAX_METRICS_PER_CALL, _MAX_PARAMS_PER_CALL = 1000, 100


def register_folder(
    client: MlflowClient, experiment: str, name: str, folder: Path, *, description: str, metrics: Any = None
) -> str:
    """Register `folder` as a new version of the registered model `name`, and return the version."""
    config = json.loads((folder / "config.json").read_text())
    training = config.get("training") or {}
    content = artifact.content_digest(folder)
    signature_of(name, config)  # refuses another name
    run = client.create_run(experiment, run_name=f"{name}-{content[:8]}").info
    figures = metrics or training.get("out_of_fold") or training.get("held_out") or {}
    _log(client, run.run_id, {"digest": content, **artifact.training_parameters(config)}, finite_numbers(figures))
    if (folder / "README.md").exists():
        client.log_artifact(run.run_id, str(folder / "README.md"), "card")
    metadata = {"digest": content, **artifact.version_metadata(name, config)}
    with tempfile.TemporaryDirectory(prefix="undertone-model-") as place:
        _save(Path(place, _FOLDER), folder, name, config, Model(_FOLDER, run.run_id, metadata=metadata))
        client.log_artifacts(run.run_id, str(Path(place, _FOLDER)), _FOLDER)
    licence = _licence(training)
    tags = {"digest": content} | ({"undertone.licence": licence} if licence else {})
    source = f"{run.artifact_uri}/{_FOLDER}"
    _create_model(client, name)
    version = client.create_model_version(name, source, run.run_id, tags=tags, description=description)
    client.set_terminated(run.run_id)
    return str(version.version)


def _licence(training: Mapping[str, Any]) -> str | None:
    """Return the licence that a pulled model's source states, or that of the training's data; None where none is."""
    stated = (training.get("pulled") or {}).get("licence")
    if stated:
        return str(stated)
    licences = training_licences(training)
    return combined_licence(licences) if licences else None


def _create_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log(client: MlflowClient, run_id: str, parameters: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    now_ms = int(time.time() * 1000)
    metrics = [Metric(key, value, now_ms, 0) for key, value in figures.items()]
    params = [Param(key, str(value)) for key, value in parameters.items()]
    for first in range(0, len(params), _MAX_PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[first : first + _MAX_PARAMS_PER_CALL])
    for first in range(0, len(metrics), _MAX_METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[first : first + _MAX_METRICS_PER_CALL])


def _save(place: Path, folder: Path, name: str, config: dict[str, Any], model: Model) -> None:
    """Write `folder` to `place` as a pyfunc."""
    signature, example = signature_of(name, config)
    mlflow.pyfunc.save_model(
        str(place),
        loader_module=artifact.loader_module(name, config),
        data_path=str(folder),
        signature=signature,
        input_example=example,
        pip_requirements=["undertone"],
        mlflow_model=model,
    )
