"""A real Prefect server on loopback: its own home, its own port, ended by the process id that was started."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from helpers.paths import ROOT

PATIENCE_S = 240  # not a measure of speed: a loaded machine is slow, a broken one never answers


@contextmanager
def prefect_server(folder: Path) -> Iterator[tuple[dict[str, str], "subprocess.Popen[bytes]"]]:
    """The environment in which `prefect` and `undertone` use it, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PREFECT_SERVER_DATABASE_CONNECTION_URL", None)
    with (folder / "server.log").open("w") as log:
        process = start(environment, log, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
        try:
            wait_for(lambda: get(f"{environment['PREFECT_API_URL']}/health"), process, folder / "server.log")
            yield environment, process
        finally:
            end(process)


def start(environment: dict[str, str], log: IO[str], *arguments: str) -> "subprocess.Popen[bytes]":
    """`prefect ARGUMENTS`."""
    command = [sys.executable, "-m", "prefect", *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(PATIENCE_S * 2):
        if condition():
            return
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None
