"""Prefect flows over the eight stages, their settings and workers, and the `undertone` command.

The defaults below turn telemetry off wherever these flows are imported, unless the environment says otherwise.
Environment variables are set here and at the start of the command only: once Polars has read from S3, its threads read
the environment, and a later `setenv` would move it under them.
"""

import os

DEFAULT_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # models.registry.mlflow_api refuses a true here
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
for _name, _value in DEFAULT_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
