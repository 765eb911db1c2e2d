"""A real Prefect server on loopback: `prefect deploy --all` succeeds, and a worker carries a run through."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from data_contracts.lake import Lake

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240  # not a measure of speed: a loaded machine is slow, a broken one never answers


@pytest.fixture
def server(tmp_path):
    """Its own home, its own port; ended by the process id that was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PREFECT_SERVER_DATABASE_CONNECTION_URL", None)
    with (tmp_path / "server.log").open("w") as log:
        process = _start(environment, log, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
        try:
            _wait_for(lambda: _get(f"{environment['PREFECT_API_URL']}/health"), process, tmp_path / "server.log")
            yield environment
        finally:
            _end(process)


@pytest.mark.slow
def test_deploy_all_and_a_worker_carries_a_run(server, settings, sample, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample / "2026" / "11" / "19", corpus / "2026" / "11" / "19")
    flags = settings | {"corpus": str(corpus)}
    _prefect(server, "work-pool", "create", "undertone", "--type", "process")
    said = _prefect(server, "--no-prompt", "deploy", "--all", cwd=ROOT)
    assert "nightly" in said
    deployments = {item["name"]: item for item in _post(server, "deployments/filter", {})}
    assert set(deployments) == {"nightly", "backfill", "maintain", "train"}
    (schedule,) = deployments["nightly"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 2 * * *", "UTC")
    parameters = {"date": "2026-11-19", "settings": flags}
    run = _post(server, f"deployments/{deployments['nightly']['id']}/create_flow_run", {"parameters": parameters})
    with (tmp_path / "worker.log").open("w") as log:
        worker = _start(server, log, "worker", "start", "--pool", "undertone", "--name", "here")
        try:
            _wait_for(lambda: _state(server, run["id"]) in {"COMPLETED", "FAILED", "CRASHED"}, worker, Path(log.name))
        finally:
            _end(worker)
    assert _state(server, run["id"]) == "COMPLETED", (tmp_path / "worker.log").read_text()[-3000:]
    ledger = Lake(flags["lake"]).scan("runs").collect().row(0, named=True)
    assert (ledger["flow"], ledger["n_read"], ledger["n_rejected"]) == ("nightly", 11, 1)
    artifacts = {item["key"]: item for item in _post(server, "artifacts/filter", {})}
    assert set(artifacts) == {"undertone-run", "undertone-validation"}
    assert ledger["run_id"] in artifacts["undertone-run"]["description"]
    assert "docs/index.html" in artifacts["undertone-validation"]["data"]


def _start(environment, log, *arguments):
    command = [sys.executable, "-m", "prefect", *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _end(process):
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _prefect(environment, *arguments, cwd=None):
    command = [sys.executable, "-m", "prefect", *arguments]
    ended = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _wait_for(condition, process, log):
    for _ in range(PATIENCE_S * 2):
        if condition():
            return
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def _get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def _post(environment, path, body):
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _state(environment, run_id):
    run = _get(f"{environment['PREFECT_API_URL']}/flow_runs/{run_id}") or {}
    return run.get("state_type")
