"""Sources of published folders: a place with files, or the hub, here a server on loopback."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from data_contracts.errors import ModelError, UsageError
from models.pretrained import source

SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "README.md": b"---\nlicense: mit\n---\n", "model.safetensors": b"w" * 99, "run.py": b"!"}


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "place"
    (place / "wav2vec2").mkdir(parents=True)
    (place / ".cache").mkdir()
    for name, content in {**FILES, "wav2vec2/config.json": b"[]", ".cache/x.json": b""}.items():
        (place / name).write_bytes(content)
    return place


def _files(into: Path) -> set[str]:
    return {str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()}


def test_a_folder_is_copied_without_its_code(folder, tmp_path):
    origin = source.fetch_source("who/what", place=str(folder), revision=None, into=tmp_path / "into")
    assert _files(tmp_path / "into") == {"config.json", "README.md", "model.safetensors", "wav2vec2/config.json"}
    assert (origin.source, origin.revision, origin.licence) == ("who/what", None, "mit")


def test_a_prefix_of_a_bucket_is_copied(folder, tmp_path, s3):
    fs = fsspec.filesystem("s3")
    fs.put(str(folder), f"{s3}/models/it", recursive=True)
    origin = source.fetch_source("who/what", place=f"s3://{s3}/models/it/", revision=None, into=tmp_path / "into")
    assert _files(tmp_path / "into") == {"config.json", "README.md", "model.safetensors", "wav2vec2/config.json"}
    assert origin.place == f"s3://{s3}/models/it/"


def test_no_files_and_two_places_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"expected a model's files at .*nowhere"):
        source.fetch_source("a/b", place=str(tmp_path / "nowhere"), revision=None, into=tmp_path / "into")
    with pytest.raises(UsageError, match="--revision"):
        source.fetch_source("a/b", place=str(tmp_path), revision="main", into=tmp_path / "into")


@pytest.mark.parametrize(
    ("text", "licence"),
    [("# none", "see source"), ("---\n- a\n---", "see source"), ("---\nlicense: [x\n---", "see source")],
)
def test_a_licence_that_nobody_states(tmp_path, text, licence):
    (tmp_path / "README.md").write_text(text)
    (tmp_path / "config.json").write_text("{}")
    assert source.fetch_source("a/b", place=str(tmp_path), revision=None, into=tmp_path / "into").licence == licence


class _Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that a snapshot needs."""

    def do_GET(self):
        self._answer()

    def do_HEAD(self):
        self._answer()

    def _answer(self):
        path = self.path.split("?")[0]
        if path in {"/api/models/who/what", "/api/models/who/what/revision/v1", f"/api/models/who/what/revision/{SHA}"}:
            told = {"id": "who/what", "sha": SHA, "siblings": [{"rfilename": name} for name in FILES]}
            self._send(json.dumps(told).encode())
        elif path.startswith(f"/api/models/who/what/tree/{SHA}"):
            rows = [{"type": "file", "path": n, "size": len(c), "oid": _etag(c)} for n, c in FILES.items()]
            self._send(json.dumps(rows).encode())
        elif path.startswith(f"/who/what/resolve/{SHA}/"):
            content = FILES[path.rsplit("/", 1)[1]]
            self._send(content, **{"ETag": f'"{_etag(content)}"', "X-Repo-Commit": SHA})
        else:
            self.send_error(404)

    def _send(self, content, **headers):
        self.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def _etag(content):
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("revision", [None, "v1"])
def test_the_hubs_commit_is_noted_and_only_weights_and_words_come(hub, tmp_path, revision):
    origin = source.fetch_source("who/what", place=None, revision=revision, into=tmp_path / "into")
    assert (origin.revision, origin.licence) == (SHA, "mit")
    kept = {name for name in _files(tmp_path / "into") if not name.startswith(".cache")}
    assert kept == {"config.json", "README.md", "model.safetensors"}


def test_only_a_configuration_comes_where_no_more_is_asked_for(hub, tmp_path):
    assert source.fetch_configuration("who/what", tmp_path / "into") == SHA
    assert {name for name in _files(tmp_path / "into") if not name.startswith(".cache")} == {"config.json"}


def test_what_the_hub_does_not_have_says_what_to_do(hub, tmp_path):
    with pytest.raises(ModelError, match=r"expected who/else at v9 on the hub; found: .* --from DIR"):
        source.fetch_source("who/else", place=None, revision="v9", into=tmp_path / "into")


def test_without_a_network_it_says_what_to_do(tmp_path, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"expected who/what at its newest commit on the hub; .* --from DIR"):
            source.fetch_source("who/what", place=None, revision=None, into=tmp_path / "into")
