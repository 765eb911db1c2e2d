"""A registry on an MLflow server that keeps the artifacts itself: every command, however often, however it is named."""

import datetime as dt
import fcntl
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from helpers.emotion_model import save_emotion_model
from helpers.explore_profile import only_exploring
from helpers.mlflow_server import mlflow_server
from helpers.once import serve_once
from mlflow import MlflowClient
from typer.testing import CliRunner

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from flows.cli.main import app
from flows.nightly import nightly
from models import serving
from models.registry.artifact import MODEL_NAMES
from models.registry.mlflow_registry import CHAMPION, Registry

NAMED_BY = ("UNDERTONE_REGISTRY", "MLFLOW_TRACKING_URI", "undertone.toml")
Undertone = Callable[..., Any]


@pytest.fixture(scope="module")
def _address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server a test run."""
    place = tmp_path_factory.mktemp("mlflow-server")
    with serve_once(tmp_path_factory, "mlflow", lambda: mlflow_server(place)) as (address, _):
        yield address


@pytest.fixture
def server(_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It, empty, for one test of all processes at a time."""
    with Path(tmp_path_factory.getbasetemp().parent, "mlflow-server.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield _address
        client = MlflowClient(_address, _address)
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)


@pytest.fixture(params=NAMED_BY)
def named(request: pytest.FixtureRequest, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, named in each of the three ways."""
    if request.param == "undertone.toml":
        (tmp_path / "undertone.toml").write_text(f'registry = "{server}"\n')
    else:
        monkeypatch.setenv(request.param, server)
    return server


@pytest.fixture
def undertone(tmp_path: Path) -> Undertone:
    """`undertone …` on the lake, in this process; its answer as JSON where it is."""

    def do(*argv: str) -> Any:
        answer = CliRunner().invoke(app, [*argv, "--lake", str(tmp_path / "lake")], catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout) if "--json" in argv else answer.stdout

    return do


def test_commands_that_ask_for_models_work_however_often(named, undertone):
    for _ in range(2):
        assert [row["aliases"] for row in undertone("models", "list", "--json")] == ["@champion", "@champion"]
        assert undertone("models", "show", "emotion", "--json")["metadata"]["registry"] == named
        assert not undertone("models", "promote", "emotion", "1", "--json")["promoted"], "it is the champion already"


def test_a_model_is_registered_promoted_and_rolled_back(server, undertone, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_REGISTRY", server)
    models = Registry(server)
    first = models.champion("emotion")
    folder = save_emotion_model(tmp_path / "second", seed=2, training={"seed": 7})
    second = models.register("emotion", folder, alias="challenger", description="", metrics={"uar": 0.5})
    shown = undertone("models", "show", "emotion", "2", "--json")
    assert (shown["metrics"], shown["card"]) == ({"uar": 0.5}, "A card.\n")
    assert undertone("models", "promote", "emotion", "2", "--force", "--json")["replaced"] == first.label
    assert undertone("models", "rollback", "emotion", "--json")["champion"] == first.label
    assert undertone("models", "rollback", "emotion", "--json")["champion"] == second.label


@pytest.mark.usefixtures("_prefect")
def test_a_night_is_scored_twice_by_models_of_a_server(server, undertone, few, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_REGISTRY", server)
    flags = {"corpus": str(few), "lake": str(tmp_path / "lake"), "cluster": "threads", "workers": 1}
    ledgers = [nightly(date=dt.date(2026, 11, 20), settings=flags) for _ in range(2)]
    assert [ledger.status for ledger in ledgers] == ["done", "done"]
    assert ledgers[0].n_published_utterances > 0
    (row,) = json.loads(undertone("query", "SELECT DISTINCT emotion_model FROM utterances", "--format", "json"))
    assert row["emotion_model"] == Registry(server).champion("emotion").label
    undertone("speakers", "--json")


@only_exploring
@pytest.mark.usefixtures("_prefect")
def test_commands_that_read_audio_work_however_often(server, undertone, few, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_REGISTRY", server)
    monkeypatch.setenv("UNDERTONE_CLUSTER", "threads")
    clips = sorted(few.rglob("call-*-voice-*.flac"))
    rows = [f"{clip},{clip.stem},{mood}" for clip, mood in zip(clips, ("anger", "neutral"), strict=True)]
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled" / "labels.csv").write_text("\n".join(["path,speaker,emotion", *rows]))
    for _ in range(2):
        undertone("backfill", "--corpus", str(few))
        undertone("backfill", "--stage", "score", "--force")
        undertone("enroll", "Ada Lovelace", str(clips[0]))
        assert undertone("models", "evaluate", "emotion", "--corpus", str(tmp_path / "labelled"), "--json")["n"] == 2
        undertone("doctor", "--corpus", str(few))


@only_exploring
def test_a_worker_process_loads_what_a_server_keeps(server):
    """It knows of the server by the reference alone, and leaves no copy behind."""
    refs = [Registry(server).champion(name) for name in MODEL_NAMES]
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.apply(_load, (refs,)) == [refs[0].metadata["classes"], refs[1].metadata["dim"]]
        assert pool.apply(_load, (refs,))


def _load(refs: list[ModelRef]) -> list[Any]:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return [list(serving.emotion_model(refs[0]).classes), serving.own_speaker_encoder(refs[1]).dim]


def test_what_somebody_deleted_is_told_in_a_sentence(server, tmp_path):
    models, client = Registry(server), MlflowClient(server, server)
    models.champion("emotion")
    models.register("emotion", save_emotion_model(tmp_path / "second", 2), alias="challenger", description="")
    client.delete_model_version("emotion", "2")
    for version in ("2", "challenger"):
        with pytest.raises(
            ModelError, match=rf"^expected version '{version}' of emotion in {server}; found versions 1;"
        ):
            models.version("emotion", version)
    models.register("emotion", save_emotion_model(tmp_path / "third", 3), alias="challenger", description="")
    client.delete_registered_model_alias("emotion", CHAMPION)
    with pytest.raises(
        ModelError, match=r"alias champion in .*; found versions 3, 1 without it; run `undertone models"
    ):
        models.champion("emotion")
    models.promote("emotion", "1")
    assert models.champion("emotion").version == "1"
    artifacts = models.version("emotion", "3").uri.removeprefix("mlflow-artifacts:")
    requests.delete(f"{server}/api/2.0/mlflow-artifacts/artifacts{artifacts}", timeout=30).raise_for_status()
    with pytest.raises(
        ModelError, match=r"^expected the artifacts of emotion/3 in mlflow-artifacts:\S+; found none: .*; "
    ):
        models.version("emotion", "3")
    client.delete_registered_model("emotion")
    assert models.champion("emotion").version == "1", "the shipped model, as in an empty registry"
