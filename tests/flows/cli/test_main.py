"""The command for people and scripts: help, exit codes, JSON, clear errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import environment
from flows.cli.main import app

RUN = CliRunner()
MODELS = ("list", "show", "add", "train", "evaluate", "promote", "rollback")
COMMANDS = (
    "demo",
    "nightly",
    "backfill",
    "maintain",
    "enroll",
    "query",
    "tables",
    "report",
    "runs",
    "rejects",
    "speakers",
    "doctor",
)


@pytest.mark.parametrize("command", [*COMMANDS, *(f"models {name}" for name in MODELS)])
def test_every_command_explains_itself(command):
    answer = RUN.invoke(app, [*command.split(), "--help"])
    assert answer.exit_code == 0
    assert len(answer.output.splitlines()) > 5


def test_help_is_quick_to_import():
    """Nobody waits for torch to read a help text."""
    heavy = ("torch", "mlflow", "prefect", "pandas")
    code = f"import sys, flows.cli.main; print([module for module in {heavy} if module in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nightly", "--corpus", "here"], "where is the lake?"),
        (["nightly", "--lake", "here"], "where is the audio?"),
        (["backfill", "--corpus", ".", "--lake", "lake", "--from", "2026-01-01"], "both ends of the range"),
        (["backfill", "--corpus", ".", "--lake", "ftp://x/y"], "s3://"),
        (["query", "SELECT 1 FROM nowhere", "--lake", "lake"], "nowhere"),
        (["query", "SELECT * FROM embeddings", "--lake", "lake"], "holds nothing yet"),
        (["models", "promote", "mood", "1", "--lake", "lake"], "emotion or speaker"),
    ],
)
def test_wrong_usage_is_2_and_says_what_to_do(arguments, words, undertone):
    ended = undertone(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_corpus_that_is_not_there_is_1(undertone):
    ended = undertone("backfill", "--corpus", "nowhere", "--lake", "lake")
    assert ended.returncode == 1
    assert "there is no corpus at" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_json_is_all_there_is_on_standard_output(registry, few, undertone):
    arguments = ["nightly", "--date", "2026-11-19", "--corpus", str(few), "--lake", "lake", "--cluster", "threads"]
    ended = subprocess.run(
        [sys.executable, "-m", "flows", *arguments, "--json"],
        env={**os.environ, "UNDERTONE_REGISTRY": registry.uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    row = json.loads(ended.stdout)
    assert (row["status"], row["n_read"], row["n_rejected"]) == ("done", 2, 1)
    for command in ("runs", "rejects", "speakers"):
        assert json.loads(undertone(command, "--lake", "lake", "--json").stdout)
    counted = undertone("query", "SELECT count(*) AS n FROM utterances", "--lake", "lake", "--format", "csv")
    assert counted.stdout.split() == ["n", str(row["n_published_utterances"])]
    written = undertone("query", "FROM utterances", "--lake", "lake", "--format", "parquet", "--output", "out.parquet")
    assert written.returncode == 0
    assert Path("out.parquet").read_bytes()[:4] == b"PAR1"


def test_nothing_is_reported_to_anybody():
    """Prefect, MLflow, Great Expectations and Hugging Face are told to be silent before any of them is imported."""
    code = "import os; os.environ.clear(); import flows, json; print(json.dumps(dict(os.environ)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert environment.DEFAULTS.items() <= json.loads(ended.stdout).items()
    for name in ("PREFECT_SERVER_ANALYTICS_ENABLED", "GX_ANALYTICS_ENABLED"):
        assert environment.DEFAULTS[name] == "false"
    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
        assert environment.DEFAULTS[name] == "true"


def test_doctor_says_what_is_missing_and_what_is_well(undertone, sample):
    ended = undertone("doctor", "--lake", "lake", "--json")
    assert ended.returncode == 1
    found = {item["what"]: item for item in json.loads(ended.stdout)}
    assert found["corpus"]["state"] == "missing"
    assert "--corpus" in found["corpus"]["words"]
    assert found["lake"]["state"] == found["registry"]["state"] == "ok"
    assert "@champion: emotion/1+" in found["registry"]["words"]
    assert undertone("doctor", "--corpus", str(sample), "--lake", "lake").returncode == 0
