"""A real Prefect server on loopback: `prefect deploy --all` succeeds, and a worker completes a run."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers.corpora import sample_corpus
from helpers.prefect_server import ROOT, end, get, prefect_server, start, wait_for

from data_contracts.lake import Lake


@pytest.fixture
def server(tmp_path):
    with prefect_server(tmp_path) as (environment, _process):
        yield environment


@pytest.mark.slow
def test_deploy_all_and_a_worker_carries_a_run(server, settings, tmp_path):
    corpus = tmp_path / "corpus"
    sample_corpus(corpus, "19/call-0001-voice-a.flac", "19/call-0002-voice-b.flac", "19/call-0032-empty.wav")
    flags = settings | {"corpus": str(corpus)}
    _prefect(server, "work-pool", "create", "undertone", "--type", "process")
    said = _prefect(server, "--no-prompt", "deploy", "--all", cwd=ROOT)
    assert "nightly" in said
    deployments = {item["name"]: item for item in _post(server, "deployments/filter", {})}
    limits = {"nightly": 1, "backfill": 4, "retry": 1, "maintain": 1, "train": 1}
    assert {name: item["global_concurrency_limit"]["limit"] for name, item in deployments.items()} == limits
    assert {item["concurrency_options"]["collision_strategy"] for item in deployments.values()} == {"ENQUEUE"}
    (schedule,) = deployments["nightly"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 2 * * *", "UTC")
    parameters = {"date": "2026-11-19", "settings": flags}
    run = _post(server, f"deployments/{deployments['nightly']['id']}/create_flow_run", {"parameters": parameters})
    with (tmp_path / "worker.log").open("w") as log:
        worker = start(server, log, "worker", "start", "--pool", "undertone", "--name", "here")
        try:
            wait_for(lambda: _state(server, run["id"]) in {"COMPLETED", "FAILED", "CRASHED"}, worker, Path(log.name))
        finally:
            end(worker)
    assert _state(server, run["id"]) == "COMPLETED", (tmp_path / "worker.log").read_text()[-3000:]
    ledger = Lake(flags["lake"]).scan("runs").collect().row(0, named=True)
    assert (ledger["flow"], ledger["n_read"], ledger["n_rejected"]) == ("nightly", 3, 1)
    artifacts = {item["key"]: item for item in _post(server, "artifacts/filter", {})}
    assert set(artifacts) == {"undertone-run", "undertone-validation"}
    assert ledger["run_id"] in artifacts["undertone-run"]["description"]
    assert "docs/index.html" in artifacts["undertone-validation"]["data"]


def _prefect(environment, *arguments, cwd=None):
    command = [sys.executable, "-m", "prefect", *arguments]
    ended = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _post(environment, path, body):
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _state(environment, run_id):
    run = get(f"{environment['PREFECT_API_URL']}/flow_runs/{run_id}") or {}
    return run.get("state_type")
