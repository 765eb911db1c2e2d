"""Model registry on MLflow: versions of the models, `@champion` among them.

A model is a folder (`weights.safetensors`, `config.json` and, optionally, its card, `README.md`) that MLflow loads with
the code in `models.<name>` (`_load_pyfunc`); nothing is pickled. The shipped folders are registered on first use.
"""

import contextlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contracts.errors import ModelError, TransientError
from data_contracts.fingerprint import digest
from data_contracts.records import ModelRef
from models import WEIGHTS
from models.metrics.names import finite_numbers
from models.registry import artifact
from models.registry.cards import training_licences
from models.registry.compatibility import expected_fingerprints
from models.registry.licences import combined_licence
from models.registry.mlflow_api import MlflowClient, MlflowException, Model, mlflow, use_server
from models.registry.signature import signature_of

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
_EXPERIMENT = "undertone"
_SHIPPED = WEIGHTS
_SHIPPED_DESCRIPTION = "shipped with Undertone"
_MAX_METRICS_PER_CALL = 1000


@dataclass(frozen=True)
class ModelVersion:
    """A registered version as `undertone models list` shows it."""

    name: str
    version: str
    aliases: tuple[str, ...]
    digest: str
    created_ms: int
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """One MLflow tracking server or database; `artifacts` is where a new experiment keeps its files."""

    def __init__(self, uri: str, artifacts: str | None = None) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.uri, self.artifacts = uri, artifacts
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def champion(self, name: str) -> ModelRef:
        """Return the version that `@champion` names; the shipped model where there is none yet.

        The shipped model also replaces one of an earlier Undertone whose features are no longer computed.
        """
        try:
            found = self._client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException as error:
            if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise self._translate_error(error) from error
            if self._has_versions(name):
                raise ModelError(
                    f"{name!r} has versions but no @champion in {self.uri}; run `undertone models promote {name} N`"
                ) from error
            return self.register(name, _SHIPPED / name, alias=CHAMPION, description=_SHIPPED_DESCRIPTION)
        ref = self._ref(name, found.version)
        if found.description == _SHIPPED_DESCRIPTION and self._is_outdated(ref):
            self._client.set_registered_model_alias(name, PREVIOUS, ref.version)
            return self.register(name, _SHIPPED / name, alias=CHAMPION, description=_SHIPPED_DESCRIPTION)
        return ref

    def version(self, name: str, version: str) -> ModelRef:
        """Return a version by its number, or an alias such as `challenger`. Raises ModelError where there is none."""
        try:
            if not version.isdigit():
                version = self._client.get_model_version_by_alias(name, version.removeprefix("@")).version
            return self._ref(name, version)
        except MlflowException as error:
            known = ", ".join(item.version for item in self.versions(name)) or "none"
            raise ModelError(f"{name} has no version {version!r} in {self.uri}; found versions: {known}") from error

    def versions(self, name: str) -> list[ModelVersion]:
        """Return all versions, newest first."""
        found = self._client.search_model_versions(f"name='{name}'")
        aliases = self._client.get_registered_model(name).aliases if found else {}
        return sorted(
            (
                ModelVersion(
                    name,
                    str(item.version),
                    tuple(sorted(alias for alias, version in aliases.items() if str(version) == str(item.version))),
                    item.tags.get("digest", ""),
                    item.creation_timestamp,
                    item.description or "",
                    dict(item.tags),
                )
                for item in found
            ),
            key=lambda item: -int(item.version),
        )

    def register(self, name: str, folder: Path, *, alias: str, description: str, metrics: Any = None) -> ModelRef:
        """Register a model folder; its data, recipe and `metrics` (nested) go to the version's MLflow run."""
        config = json.loads((folder / "config.json").read_text())
        training = config.get("training") or {}
        content = artifact.content_digest(folder)
        signature, example = signature_of(name, config)
        use_server(self.uri)
        run = mlflow.start_run(experiment_id=self._experiment(), run_name=f"{name}-{content[:8]}")
        with run, contextlib.redirect_stderr(io.StringIO()):  # MLflow prints every registration
            mlflow.log_params({"digest": content, **artifact.training_parameters(config)})
            figures = [
                *finite_numbers(metrics or training.get("out_of_fold") or training.get("held_out") or {}).items()
            ]
            for first in range(0, len(figures), _MAX_METRICS_PER_CALL):
                mlflow.log_metrics(dict(figures[first : first + _MAX_METRICS_PER_CALL]))
            if (folder / "README.md").exists():
                mlflow.log_artifact(str(folder / "README.md"), "card")
            logged = mlflow.pyfunc.log_model(
                name=name,
                loader_module=artifact.loader_module(name, config),
                data_path=str(folder),
                signature=signature,
                input_example=example,
                registered_model_name=name,
                pip_requirements=["undertone"],
                metadata={"digest": content, **artifact.version_metadata(name, config)},
            )
        version = str(logged.registered_model_version)
        self._client.update_model_version(name, version, description=description)
        tags = {"digest": content} | (
            {"undertone.licence": combined_licence(held)} if (held := training_licences(training)) else {}
        )
        self.tag(name, version, tags)
        self._client.set_registered_model_alias(name, alias, version)
        return self._ref(name, version)

    def promote(self, name: str, version: str) -> ModelRef:
        """Move `@champion` to a version and keep the one before as `@previous`."""
        version_ref = self.version(name, version)
        try:
            before = self._client.get_model_version_by_alias(name, CHAMPION).version
        except MlflowException:
            before = None
        if before is not None and str(before) != version_ref.version:
            self._client.set_registered_model_alias(name, PREVIOUS, str(before))
        self._client.set_registered_model_alias(name, CHAMPION, version_ref.version)
        return version_ref

    def rollback(self, name: str) -> ModelRef:
        """Swap `@champion` and `@previous`; a second rollback undoes the first. Raises ModelError."""
        return self.promote(name, PREVIOUS)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Write tags of a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(name, version, key, value)

    def note(self, name: str, key: str, value: str) -> None:
        """Write a tag of the model, which outlives the tags of its versions."""
        self._client.set_registered_model_tag(name, key, value)

    def notes(self, name: str) -> dict[str, str]:
        """Return the tags of the model."""
        return dict(self._client.get_registered_model(name).tags)

    def metrics_and_card(self, ref: ModelRef) -> tuple[dict[str, float], str | None]:
        """Return the metrics of the version's MLflow run, and the URI of its card."""
        run_id = self._client.get_model_version(ref.name, ref.version).run_id
        if not run_id:
            return {}, None
        run = self._client.get_run(run_id)
        cards = [file.path for file in self._client.list_artifacts(run_id, "card")]
        return dict(run.data.metrics), f"{run.info.artifact_uri}/{cards[0]}" if cards else None

    def _is_outdated(self, ref: ModelRef) -> bool:
        """Return whether it reads other features than the model shipped now, which was never registered here."""
        shipped = json.loads((_SHIPPED / ref.name / "config.json").read_text())
        if expected_fingerprints(ref.metadata) == expected_fingerprints(shipped):
            return False
        return artifact.content_digest(_SHIPPED / ref.name) not in {item.digest for item in self.versions(ref.name)}

    def _has_versions(self, name: str) -> bool:
        return bool(self._client.search_model_versions(f"name='{name}'", max_results=1))

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        artifacts = self.artifacts if self.uri.startswith("sqlite:") else None
        return str(self._client.create_experiment(_EXPERIMENT, artifact_location=artifacts))

    def _ref(self, name: str, version: str) -> ModelRef:
        uri = self._client.get_model_version_download_uri(name, str(version))
        try:
            model = Model.load(uri)
        except (MlflowException, OSError) as error:
            raise ModelError(f"{name}/{version} cannot be read from {uri}: {error}; are the artifacts gone?") from error
        metadata = dict(model.metadata or {})
        if name == "emotion" and "classes" not in metadata and model.signature and model.signature.outputs:
            metadata["classes"] = model.signature.outputs.input_names()
        if self.uri.startswith("http"):
            metadata["registry"] = self.uri
        content = metadata.get("digest") or digest(str(model.model_uuid or uri).encode())
        return ModelRef(name, str(version), uri, content, metadata)

    def _translate_error(self, error: MlflowException) -> Exception:
        if error.error_code in {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"}:
            return TransientError(f"the model registry {self.uri} does not answer: {error}")
        return ModelError(f"the model registry {self.uri}: {error}; check UNDERTONE_REGISTRY")
