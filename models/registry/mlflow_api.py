"""MLflow's names that Undertone uses, imported after its switches are set; the only file that imports mlflow.

MLflow has one tracking server for a process (`mlflow.set_tracking_uri`, `MLFLOW_TRACKING_URI`), one active run and
one active experiment. None of them is used here: each call says which server it means, so that two registries, the
user's own runs and `MLFLOW_RUN_ID` do not meet.
"""

import os
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # whoever can write an artifact would run code here
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")  # two minutes, where a server goes away in mid-run
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import mlflow
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils import credentials, rest_utils
from sqlalchemy.exc import SQLAlchemyError

__all__ = [
    "ColSpec",
    "DataType",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "Param",
    "SQLAlchemyError",
    "Schema",
    "TensorSpec",
    "ViewType",
    "ask_once",
    "mlflow",
]


def ask_once(server: str, path: str, *, timeout_s: float) -> Any:
    """Return a server's answer to one request with MLflow's credentials, certificates and headers, whatever it is."""
    ask: Any = rest_utils.http_request
    credentials_of: Any = credentials.get_default_host_creds
    return ask(credentials_of(server), path, "GET", max_retries=0, timeout=timeout_s, raise_on_status=False)
