"""Artifacts that a registry keeps in S3: asked for again where the store hiccups, for as long as is set."""

import shutil
from pathlib import Path

import pytest
from helpers.faulty_s3 import Fault, FaultyStore
from mlflow.store.artifact import s3_artifact_repo

from data_contracts.errors import ModelError, TransientError
from data_contracts.lake import Lake
from data_contracts.object_store.retry import RetryPolicy
from models.registry import loading, mlflow_registry
from models.registry.mlflow_registry import Registry


@pytest.fixture
def in_s3(
    s3: str, faulty: FaultyStore, empty_database: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """The shipped model, registered beside a lake in S3, behind a proxy without a fault yet."""
    monkeypatch.setattr(mlflow_registry, "_SHIPPED", first.parent)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    s3_artifact_repo._cached_get_s3_client.cache_clear()  # MLflow's, of another test's proxy
    return Registry(f"sqlite:///{tmp_path}/mlflow.db", f"s3://{s3}/team/lake/registry/artifacts")


def test_a_store_that_hiccups_is_asked_for_as_long_as_is_set(in_s3, faulty, first):
    ref = in_s3.champion("emotion")
    assert ref.uri.startswith(f"{in_s3.artifacts}/")
    faulty.do(Fault("slow_down", on="MLmodel", times=2), Fault("truncate", on="weights.safetensors", times=1))
    folder = loading.weights_folder(in_s3.champion("emotion"))
    assert (folder / "weights.safetensors").read_bytes() == (first / "weights.safetensors").read_bytes()
    assert {done for _, done in faulty.log} >= {"slow_down", "truncate"}
    faulty.do(Fault("outage", on="MLmodel"))
    impatient = Registry(in_s3.uri, in_s3.artifacts, RetryPolicy(0.5, 0.5))
    with pytest.raises(TransientError, match=r"MLmodel.* asked again for \d s in vain"):
        impatient.champion("emotion")
    faulty.do()
    Lake(ref.uri).remove("MLmodel")
    with pytest.raises(
        ModelError, match=r"^expected the artifacts of emotion/1 in s3://.*; found none: .*; bring them"
    ):
        in_s3.champion("emotion")
