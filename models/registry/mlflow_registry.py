"""Model registry on MLflow: versions of the models, `@champion` among them.

A model is a folder (`weights.safetensors`, `config.json` and, optionally, its card, `README.md`) that MLflow loads with
the code in `models.<name>` (`_load_pyfunc`); nothing is pickled. The shipped folders are registered on first use.
"""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import ModelRef
from models import WEIGHTS
from models.registry import artifact
from models.registry.addresses import without_password
from models.registry.answers import in_our_words, is_not_found, reason, require_answer
from models.registry.artifact_files import carried_along, local_path, read_mlmodel
from models.registry.compatibility import check_features
from models.registry.database import alone_with_new, require_database
from models.registry.mlflow_api import MlflowClient, MlflowException, ViewType
from models.registry.registration import register_folder

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
_EXPERIMENT = "undertone"
_SHIPPED = WEIGHTS
SHIPPED_DESCRIPTION = "shipped with Undertone"


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

    @in_our_words
    def __init__(self, uri: str, artifacts: str | None = None, retry_policy: RetryPolicy = RetryPolicy()) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.uri, self.artifacts, self._retry_policy = uri, artifacts, retry_policy
        self._shown = without_password(uri)
        if uri.startswith("sqlite:///"):
            require_database(Path(uri.removeprefix("sqlite:///")))
        if uri.startswith("http"):
            require_answer(uri, retry_policy)
        self._carried = _carried_folder(uri, artifacts)
        is_file = uri.startswith("sqlite:///")
        with alone_with_new(Path(uri.removeprefix("sqlite:///"))) if is_file else contextlib.nullcontext():
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    @in_our_words
    def champion(self, name: str) -> ModelRef:
        """Return the version that `@champion` names; the shipped model where there is none yet.

        The shipped model also replaces one of an earlier Undertone whose features are no longer computed.
        """
        found = self._version_with(CHAMPION, name)
        if found is None:
            others = self.versions(name)
            if any(item.description != SHIPPED_DESCRIPTION for item in others):
                raise ModelError(
                    f"expected a version of {name} with the alias champion in {self._shown}; found versions "
                    f"{_numbers(others)} without it; run `undertone models promote {name} N`"
                )
            if others:  # registered by a process that died before it named it
                self._client.set_registered_model_alias(name, CHAMPION, others[0].version)
                return self._ref(name, others[0].version)
            return self.register(name, _SHIPPED / name, alias=CHAMPION, description=SHIPPED_DESCRIPTION)
        ref = self._ref(name, found.version)
        if found.description == SHIPPED_DESCRIPTION and self._is_outdated(ref):
            self._client.set_registered_model_alias(name, PREVIOUS, ref.version)
            return self.register(name, _SHIPPED / name, alias=CHAMPION, description=SHIPPED_DESCRIPTION)
        return ref

    @in_our_words
    def version(self, name: str, version: str) -> ModelRef:
        """Return a version by its number, or an alias such as `challenger`. Raises ModelError where there is none."""
        found = self._version_with(version.removeprefix("@"), name)
        if found is not None:
            return self._ref(name, found.version)
        raise ModelError(
            f"expected version {version!r} of {name} in {self._shown}; found versions "
            f"{_numbers(self.versions(name))}; `undertone models list` shows them and their aliases"
        )

    @in_our_words
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

    @in_our_words
    def register(self, name: str, folder: Path, *, alias: str, description: str, metrics: Any = None) -> ModelRef:
        """Register a model folder; its data, recipe and `metrics` (nested) go to the version's MLflow run."""
        experiment = self._experiment()
        version = register_folder(self._client, experiment, name, folder, description=description, metrics=metrics)
        self._client.set_registered_model_alias(name, alias, version)
        return self._ref(name, version)

    @in_our_words
    def promote(self, name: str, version: str) -> ModelRef:
        """Move `@champion` to a version and keep the one before as `@previous`."""
        version_ref = self.version(name, version)
        before = self._version_with(CHAMPION, name)
        if before is not None and str(before.version) != version_ref.version:
            self._client.set_registered_model_alias(name, PREVIOUS, str(before.version))
        self._client.set_registered_model_alias(name, CHAMPION, version_ref.version)
        return version_ref

    def rollback(self, name: str) -> ModelRef:
        """Swap `@champion` and `@previous`; a second rollback undoes the first. Raises ModelError."""
        return self.promote(name, PREVIOUS)

    @in_our_words
    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Write tags of a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(name, version, key, value)

    @in_our_words
    def note(self, name: str, key: str, value: str) -> None:
        """Write a tag of the model, which outlives the tags of its versions."""
        self._client.set_registered_model_tag(name, key, value)

    @in_our_words
    def notes(self, name: str) -> dict[str, str]:
        """Return the tags of the model."""
        return dict(self._client.get_registered_model(name).tags)

    @in_our_words
    def metrics_and_card(self, ref: ModelRef) -> tuple[dict[str, float], str | None]:
        """Return the metrics of the version's MLflow run, and the URI of its card; none where the run is gone."""
        run_id = self._client.get_model_version(ref.name, ref.version).run_id
        try:
            run = self._client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if not is_not_found(error):
                raise
            run = None
        if run is None:
            return {}, None
        artifacts = self._artifacts(run.info.artifact_uri)
        if folder := local_path(artifacts):
            cards = [str(path.relative_to(folder)) for path in sorted(folder.glob("card/*"))]
        else:
            cards = [file.path for file in self._client.list_artifacts(run.info.run_id, "card")]
        return dict(run.data.metrics), f"{artifacts}/{cards[0]}" if cards else None

    def _version_with(self, number_or_alias: str, name: str) -> Any:
        """Return MLflow's entity of a version; None where there is none."""
        try:
            if number_or_alias.isdigit():
                return self._client.get_model_version(name, number_or_alias)
            return self._client.get_model_version_by_alias(name, number_or_alias)
        except MlflowException as error:
            if not is_not_found(error):
                raise
            return None

    def _is_outdated(self, ref: ModelRef) -> bool:
        """Return whether it reads features that are no longer computed, and the shipped one was never registered."""
        try:
            check_features(ref)
        except ModelError:
            return artifact.content_digest(_SHIPPED / ref.name) not in {item.digest for item in self.versions(ref.name)}
        return False

    def _experiment(self) -> str:
        """Return the experiment whose runs keep what is registered now; a lake that was moved begins another."""
        name, found = _EXPERIMENT, self._client.get_experiment_by_name(_EXPERIMENT)
        if found is not None and self._carried and local_path(found.artifact_location) != self._carried:
            name = f"{_EXPERIMENT} in {self._carried}"
            found = self._client.get_experiment_by_name(name)
        if found is None:
            artifacts = self.artifacts if self.uri.startswith("sqlite:") else None
            return str(self._client.create_experiment(name, artifact_location=artifacts))
        if found.lifecycle_stage != "active":
            raise ModelError(
                f"expected the experiment {name!r} in {self._shown}; found that somebody deleted it; bring it back "
                f"with `MLFLOW_TRACKING_URI={self._shown} mlflow experiments restore -x {found.experiment_id}`"
            )
        return str(found.experiment_id)

    def _artifacts(self, uri: str) -> str:
        """Return where an artifact lies that the registry says is at `uri`."""
        if self._carried is None or uri.startswith(f"{self._carried}/"):
            return uri
        homes = [experiment.artifact_location for experiment in self._client.search_experiments(ViewType.ALL)]
        return carried_along(uri, homes, self._carried)

    def _ref(self, name: str, version: str) -> ModelRef:
        uri = self._artifacts(self._client.get_model_version_download_uri(name, str(version)))
        server = self.uri if self.uri.startswith("http") else None  # hands artifacts out itself, where they are its own
        try:
            model = read_mlmodel(uri, server, self._retry_policy)
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"expected the artifacts of {name}/{version} in {uri}; found none: {reason(error)}; bring them back, "
                f"or run `undertone models promote {name} N` for another version"
            ) from error
        metadata = dict(model.metadata or {})
        if name == "emotion" and "classes" not in metadata and model.signature and model.signature.outputs:
            metadata["classes"] = model.signature.outputs.input_names()
        if server:
            metadata["registry"] = server
        content = metadata.get("digest") or digest(str(model.model_uuid or uri).encode())
        return ModelRef(name, str(version), str(local_path(uri) or uri), content, metadata)


def _carried_folder(uri: str, artifacts: str | None) -> Path | None:
    """Return the folder of artifacts that lies beside the database, and so moves with it; None for any other."""
    folder = Path(artifacts or "")
    return folder if uri == f"sqlite:///{folder.parent}/mlflow.db" and folder.is_absolute() else None


def _numbers(versions: list[ModelVersion]) -> str:
    return ", ".join(item.version for item in versions) or "none"
