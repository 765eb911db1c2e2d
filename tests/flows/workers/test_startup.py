"""Start of a command: workers forked from one single-threaded process, Prefect's server beside it, nothing left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.paths import ROOT

from data_contracts.errors import UsageError
from flows.workers import forkserver, prefect_server

_COMMAND = """
import os, sys
from flows.workers import forkserver, prefect_server
ready = prefect_server.start_server()
assert "prefect" not in sys.modules
assert forkserver.prepare(), "a shared import has begun to start a thread"
from distributed import KilledWorker
from flows.workers.dask import start_cluster
from flows.settings.settings import Settings
from prefect.client.orchestration import get_client
ready()
assert get_client(sync_client=True).hello().status_code == 200
os.environ["SET_LATER"] = "yes"
cluster = start_cluster(Settings(cluster="processes", workers=1))
def look():
    import os, sys
    imported = {"torch", "speechbrain.lobes.models.ECAPA_TDNN"} <= sys.modules.keys()
    return os.getpid(), os.getppid(), imported, os.environ.get("SET_LATER")
first, fork, imported, later = cluster.client.submit(look, pure=False).result()
assert (fork != os.getpid(), imported, later) == (True, True, "yes")
assert len(os.listdir(f"/proc/{fork}/task")) == 1, "an import that workers share has begun to start a thread"
cluster.client.submit(os._exit, 1)
second = first
while second == first:
    try:
        second = cluster.client.submit(look, pure=False).result()[0]
    except KilledWorker:  # it was beside the one that the worker died of
        pass
print(os.getpid(), fork, second, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_workers_are_forked_replaced_and_gone_with_a_command_that_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path / "new" / "prefect")}
    complaints = tmp_path / "stderr"
    with complaints.open("w") as stderr:
        command = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _COMMAND],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        pids = [int(pid) for pid in command.stdout.readline().split()]
        assert pids[:1] == [command.pid], complaints.read_text()
        children = [int(pid) for pid in Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()]
        assert {pids[1]} <= set(children)
    finally:
        command.send_signal(signal.SIGKILL)
        command.communicate()
    left = {*pids, *children}
    while left:
        time.sleep(0.1)
        left = {pid for pid in left if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)}


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("no-such-command", 2)])
def test_what_is_registered_for_the_end_is_done_and_nothing_is_lost_of_what_was_said(argument, code):
    script = f"""
import atexit, sys, threading, time
from flows import __main__ as command
atexit.register(print, "registered")
sys.argv, main = ["undertone", {argument!r}], command.main
def and_a_thread():
    try:
        main()
    finally:
        threading.Thread(target=lambda: (time.sleep(0.2), print("a thread"))).start()
command.main = and_a_thread
command.run()
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["a thread", "registered"]
    assert ("Usage" in ended.stdout) == (code == 0)


@pytest.mark.parametrize(
    ("file", "text", "asks"),
    [
        ("prefect.toml", "", True),
        (".env", "PREFECT_API_URL=http://h/api", True),
        (".env", "OTHER=1", False),
        ("pyproject.toml", '[tool.prefect]\napi.url = "http://h/api"', True),
        ("pyproject.toml", 'dependencies = ["prefect"]', False),
        ("home/profiles.toml", 'PREFECT_API_URL = "http://h/api"', True),
    ],
)
def test_where_a_file_may_set_prefect_up_prefect_is_asked(tmp_path, monkeypatch, file, text, asks):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_PROFILES_PATH", raising=False)
    assert not prefect_server._has_settings_file()
    (tmp_path / "home").mkdir()
    (tmp_path / file).write_text(text)
    assert prefect_server._has_settings_file() == asks


@pytest.mark.parametrize("api_url", ["", "http://127.0.0.1:9/api"])
def test_a_file_that_prefect_cannot_decode_is_told_of(tmp_path, monkeypatch, api_url):
    """Prefect reads the `.env` of another program where one stands: UnicodeDecodeError."""
    monkeypatch.setenv("PREFECT_API_URL", api_url)
    (tmp_path / ".env").write_bytes(b"A=1\nNAME=Jos\xe9\n")
    with pytest.raises(UsageError, match=r"\.env: expected UTF-8; found Latin-1 .* in line 2; save it as UTF-8"):
        prefect_server.start_server()


def test_a_configuration_that_dask_cannot_read_is_told_of(monkeypatch):
    def import_module(_name):
        raise ValueError("A dask config file at '/h/.config/dask/x.yaml' is malformed, original error message:\n\nx")

    monkeypatch.setattr(forkserver.importlib, "import_module", import_module)
    with pytest.raises(
        UsageError, match=r"found A dask config file at '/h/.*' is malformed.* x; mend or move that file"
    ):
        forkserver._preload()


def test_no_server_is_cluster_where_one_is_named(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(prefect_server.subprocess, "Popen", None)
    prefect_server.start_server()()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"
