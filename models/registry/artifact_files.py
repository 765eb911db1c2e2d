"""Artifacts of registered versions as files on this machine: in their place, or downloaded once a process.

S3 is asked with our own patience; by MLflow where `MLFLOW_S3_ENDPOINT_URL` says that its store is another.
"""

import functools
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterable
from multiprocessing import util
from pathlib import Path
from urllib.parse import urlsplit

from data_contracts.lake import Lake
from data_contracts.object_store.retry import RetryPolicy
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


def fetch_folder(uri: str, registry: str | None, retry_policy: RetryPolicy = RetryPolicy()) -> Path:
    """Return the folder of a version's artifacts. `registry` is the server that hands them out, where one does.

    Raises OSError and MlflowException where they are gone, or out of reach; from S3, what a lake raises.
    """
    place = local_path(uri)
    if place is None:
        return _download(uri, registry, retry_policy)
    if not place.is_dir():
        raise FileNotFoundError(f"no such folder: {place}")
    return place


def read_mlmodel(uri: str, registry: str | None, retry_policy: RetryPolicy = RetryPolicy()) -> Model:
    """Return what a version says of itself, without its weights. Raises as `fetch_folder` does."""
    place = local_path(uri)
    if place is not None:
        return Model.load(str(place / _MLMODEL))
    with tempfile.TemporaryDirectory(prefix="undertone-model-") as folder:
        return Model.load(str(_copy(f"{uri}/{_MLMODEL}", registry, retry_policy, Path(folder))))


@functools.lru_cache(maxsize=16)
def _download(uri: str, registry: str | None, retry_policy: RetryPolicy) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="undertone-model-"))
    util.Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=0)  # workers, too
    return _copy(uri, registry, retry_policy, folder)


def _copy(uri: str, registry: str | None, retry_policy: RetryPolicy, folder: Path) -> Path:
    """Copy a file or folder into `folder`, and return the copy's path."""
    if not uri.startswith(("s3://", "s3a://")) or os.environ.get("MLFLOW_S3_ENDPOINT_URL"):
        answer = mlflow.artifacts.download_artifacts(
            artifact_uri=uri, dst_path=str(folder), tracking_uri=registry, registry_uri=registry
        )
        return Path(answer)
    above, _, name = uri.rpartition("/")
    store = Lake(above, retry_policy)
    found = list(store.sizes(name))
    if not found:
        raise FileNotFoundError(f"nothing at {uri}")
    for path in found:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(store.read(path))
    return folder / name
