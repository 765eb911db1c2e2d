"""A registry that nobody answers, that refuses, or that is none: one sentence each, and soon."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.mlflow_server import free_port

from data_contracts.errors import CredentialsError, ModelError, TransientError, UndertoneError, UsageError
from data_contracts.object_store.retry import RetryPolicy
from flows import environment
from flows.settings import Settings
from models.registry.addresses import registry_address
from models.registry.database import alone_with_new
from models.registry.mlflow_registry import Registry

IMPATIENT = RetryPolicy(0.3, 0.3)


@contextmanager
def answering(status: int, body: bytes = b"<html>\n<title>no MLflow</title>\n</html>") -> Iterator[str]:
    """A server that gives everybody the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _complaint(ask: Callable[[], object], kind: type[UndertoneError]) -> str:
    with pytest.raises(kind) as caught:
        ask()
    words = str(caught.value)
    assert "\n" not in words
    assert "urllib3" not in words
    assert "Max retries" not in words
    assert len(words) < 600
    return words


def test_a_server_that_is_not_there():
    address = f"http://127.0.0.1:{free_port()}"
    words = _complaint(lambda: Registry(address, retry_policy=IMPATIENT), TransientError)
    assert words.startswith(f"expected an answer of the model registry {address}; found none in ")
    assert words.endswith(
        ": Connection refused; start the server, or correct UNDERTONE_REGISTRY or MLFLOW_TRACKING_URI"
    )


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert ": timed out; " in _complaint(lambda: Registry(address, retry_policy=IMPATIENT), TransientError)


def test_a_gateway_before_a_server_that_is_not_there():
    with answering(503) as address:
        assert "503 Service Unavailable" in _complaint(
            lambda: Registry(address, retry_policy=IMPATIENT), TransientError
        )


@pytest.mark.parametrize(("status", "kind"), [(404, ModelError), (200, TransientError), (401, CredentialsError)])
def test_a_server_that_is_no_mlflow_server_or_refuses(status, kind):
    with answering(status) as address:
        words = _complaint(lambda: Registry(address, retry_policy=IMPATIENT).champion("emotion"), kind)
    assert words.startswith(f"expected an answer of the model registry {address}; found ")


def test_loopback_is_asked_without_the_proxy(monkeypatch):
    environ = {"http_proxy": f"http://127.0.0.1:{free_port()}"}
    environment.prepare(environ)
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.setenv(name, environ[name])
    with answering(200) as address:
        Registry(address, retry_policy=IMPATIENT)


@pytest.mark.parametrize("content", [None, b"certainly no database, although it is long enough for one" * 3])
def test_a_database_that_cannot_be_opened(content, tmp_path):
    file = tmp_path / "mlflow.db"
    file.mkdir() if content is None else file.write_bytes(content)
    words = _complaint(lambda: Registry(f"sqlite:///{file}"), ModelError)
    assert words.startswith(f"expected the database of the model registry in {file}; found that it cannot be opened: ")


def test_one_process_at_a_time_makes_a_database(tmp_path):
    """Two commands on a new lake at once left a database that no command could open any more."""
    file, made = tmp_path / "mlflow.db", []

    def make() -> None:
        with alone_with_new(file):
            made.append(file.exists())
            file.write_bytes(b"tables")

    with alone_with_new(file):
        other = threading.Thread(target=make)
        other.start()
        other.join(0.2)
        file.write_bytes(b"tables")
        assert made == []
    other.join()
    assert made == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_database_whose_driver_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg2", None)
    words = _complaint(lambda: Registry("postgresql://ada:secret@127.0.0.1/mlflow"), ModelError)
    assert "psycopg2" in words
    assert "secret" not in words


@pytest.mark.parametrize(
    "address",
    [
        *("databricks", "databricks://team", "uc:http://x", "./mlruns", "file:///tmp/mlruns", "sqlite://", "host:5000"),
        *("sqlite:mlflow.db", "http:/host:5000", "http://", "http://host:99999", "arn:aws:sagemaker:x", "s3://b/x"),
    ],
)
def test_an_address_where_no_registry_can_be(address, tmp_path):
    words = _complaint(
        lambda: (ours := Settings(registry=address, lake=str(tmp_path))).open_registry(ours.open_lake()), UsageError
    )
    assert repr(address) in words
    assert "UNDERTONE_REGISTRY" in words


def test_addresses_have_one_spelling():
    assert registry_address(" HTTP://Host:5000/mlflow ", "") == "http://Host:5000/mlflow"
    assert registry_address("postgresql+psycopg2://a@b/c", "") == "postgresql+psycopg2://a@b/c"


@pytest.mark.parametrize("folder", ["./mlruns", "mlruns", "file:///tmp/mlruns", "/tmp/mlruns"])
def test_a_folder_of_runs_of_the_users_own_is_passed_over(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", folder)
    ours = Settings(lake=str(tmp_path / "lake"))
    assert ours.registry_uri(ours.open_lake()) == f"sqlite:///{tmp_path}/lake/registry/mlflow.db"
    assert ours.mlflow_variables_passed_over() == ["MLFLOW_TRACKING_URI"]


def test_what_is_set_for_mlflows_own_runs_changes_nothing(models, tmp_path, monkeypatch):
    nobody = f"http://127.0.0.1:{free_port()}"
    elsewhere = {"MLFLOW_TRACKING_URI": nobody, "MLFLOW_REGISTRY_URI": nobody, "MLFLOW_EXPERIMENT_NAME": "mine"}
    for name, value in {**elsewhere, "MLFLOW_RUN_ID": "f" * 32, "MLFLOW_EXPERIMENT_ID": "77"}.items():
        monkeypatch.setenv(name, value)
    ref = models.champion("emotion")
    assert models.promote("emotion", "1") == models.champion("emotion") == ref
    assert Path(ref.uri).is_dir()
    passed_over = Settings(registry=models.uri).mlflow_variables_passed_over()
    assert passed_over == ["MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"]
