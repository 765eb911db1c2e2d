"""Prefect flows over the eight stages, their settings and workers, and the `undertone` command.

Nothing is reported to anybody unless somebody asks for it: the defaults below stand wherever these flows are imported.
All that is ever set is set here and by the command, at the beginning: Polars reads the environment from threads of its
own once it has read from S3, and whoever adds a name then moves it under their feet.
"""

import os

QUIET = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # models.registry.mlflow_api says no to whoever says yes
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
