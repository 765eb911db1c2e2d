"""MLflow's names that Undertone uses, imported after its switches are set; the only file that imports mlflow."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # whoever can write an artifact would run code here
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import mlflow
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

__all__ = [
    "ColSpec",
    "DataType",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "Schema",
    "TensorSpec",
    "mlflow",
    "use_server",
]


def use_server(uri: str | None) -> None:
    """Point MLflow's module-level functions at this server or database; None leaves them as they are."""
    if uri:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
