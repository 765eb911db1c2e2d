"""Artifacts of registered versions as files on this machine: in their place, or downloaded once a process."""

import functools
import shutil
import tempfile
import urllib.request
from collections.abc import Iterable
from multiprocessing import util
from pathlib import Path
from urllib.parse import urlsplit

from models.registry.mlflow_api import Model, mlflow

_MLMODEL = "MLmodel"


def local_path(uri: str) -> Path | None:
    """Return the path of an artifact's address as MLflow understands it; None for one in a store or on a server."""
    if uri.startswith("file:"):
        return Path(urllib.request.url2pathname(urlsplit(uri).path))
    return Path(urllib.request.url2pathname(uri)) if uri.startswith("/") else None


def carried_along(uri: str, homes: Iterable[str], here: Path) -> str:
    """Return the address of an artifact that came `here` with its registry from one of the `homes` on record.

    A lake in a folder may be moved, copied or mounted elsewhere; MLflow records full paths. What is not here stays
    where the registry says.
    """
    place = local_path(uri)
    for home in filter(None, map(local_path, homes)):
        if place is not None and place.is_relative_to(home) and (found := here / place.relative_to(home)).exists():
            return str(found)
    return uri


def fetch_folder(uri: str, registry: str | None) -> Path:
    """Return the folder of a version's artifacts. `registry` is the server that hands them out, where one does.

    Raises OSError and MlflowException where they are gone, or out of reach.
    """
    place = local_path(uri)
    if place is None:
        return _download(uri, registry)
    if not place.is_dir():
        raise FileNotFoundError(f"no such folder: {place}")
    return place


def read_mlmodel(uri: str, registry: str | None) -> Model:
    """Return what a version says of itself, without its weights. Raises as `fetch_folder` does."""
    place = local_path(uri)
    if place is not None:
        return Model.load(str(place / _MLMODEL))
    with tempfile.TemporaryDirectory(prefix="undertone-model-") as folder:
        return Model.load(_ask_mlflow(f"{uri}/{_MLMODEL}", registry, Path(folder)))


@functools.lru_cache(maxsize=16)
def _download(uri: str, registry: str | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="undertone-model-"))
    util.Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=0)  # workers, too
    return Path(_ask_mlflow(uri, registry, folder))


def _ask_mlflow(uri: str, registry: str | None, folder: Path) -> str:
    return str(
        mlflow.artifacts.download_artifacts(
            artifact_uri=uri, dst_path=str(folder), tracking_uri=registry, registry_uri=registry
        )
    )
