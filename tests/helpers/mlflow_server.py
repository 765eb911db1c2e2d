"""A real MLflow server on loopback that keeps the artifacts itself, which is its default, ended by its process id."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 240  # not a measure of speed: a loaded machine is slow, a broken one never answers


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Its address. What it keeps lies in `folder`: `mlflow.db` and `kept/`."""
    address = f"http://127.0.0.1:{free_port()}"
    options = {
        "--backend-store-uri": f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination": str(folder / "kept"),
        "--host": "127.0.0.1",
        "--port": address.rpartition(":")[2],
        "--workers": "1",
    }
    command = [sys.executable, "-m", "mlflow", "server", *(part for option in options.items() for part in option)]
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | light
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await(f"{address}/health", process, folder / "server.log")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def free_port() -> int:
    """A port on loopback where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_PATIENCE_S * 5):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])
