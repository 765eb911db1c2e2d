"""Prefect's API server for one command where none is configured, and the error where it goes away."""

import atexit
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from data_contracts.errors import TransientError, UsageError
from flows.settings.toml_file import decode
from flows.workers.patience import START_S

_SETTINGS_FILES = {
    ".env": "PREFECT_",
    "prefect.toml": "",
    "pyproject.toml": "[tool.prefect",
}  # a file, and the text that marks Prefect's settings in it

# Prints its port before it imports anything, serves, and ends with its parent, however the parent ends.
_SERVER = """
import os, socket, sys, threading
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
import uvicorn
served = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
uvicorn.Server(served).run(sockets=[listener])
"""
_SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
}


def start_server() -> Callable[[], None]:
    """Start the server while the command imports; call the returned function to wait for it.

    Call it before Prefect is imported, which reads the address from the environment. No server is started where
    PREFECT_API_URL names one. Raises UsageError where Prefect could not read its files of settings.
    """
    has_settings_file = _has_settings_file()
    if os.environ.get("PREFECT_API_URL"):
        return lambda: None
    if has_settings_file:
        return _start_as_prefect_does
    _make_home()
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER],
        env={**os.environ, **_SETTINGS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the run, which ends the server
    )
    atexit.register(_kill, server)
    port = int(server.stdout.readline())  # type: ignore[union-attr]
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    return lambda: _wait_until_healthy(server, f"http://127.0.0.1:{port}/api/health")


def _has_settings_file() -> bool:
    """Return whether a file may configure Prefect; only Prefect reads all of them, and slowly.

    Raises UsageError for one that Prefect cannot decode: it reads `.env`, whose ever that is.
    """
    profiles = os.environ.get("PREFECT_PROFILES_PATH") or str(prefect_home() / "profiles.toml")
    markers = {profiles: "PREFECT_"} | _SETTINGS_FILES
    texts = {
        marker: decode(Path(path).read_bytes(), Path(path).absolute())
        for path, marker in markers.items()
        if Path(path).is_file()
    }
    return any(marker in text for marker, text in texts.items())


def prefect_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def _make_home() -> None:
    """Create the folder of Prefect's state: its command does, its server does not. Raises UsageError."""
    try:
        prefect_home().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"expected a folder for Prefect's state that can be written; found {prefect_home()} ({error.strerror}); "
            "set PREFECT_HOME to another"
        ) from error


def _start_as_prefect_does() -> None:
    """Let Prefect read its settings, or start the same server on first use."""
    from prefect.client.orchestration import get_client

    get_client(sync_client=True)


def explain_unreachable(error: BaseException) -> TransientError | None:
    """Return a TransientError where the error comes of an unreachable Prefect server; else None."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    api_url = PREFECT_API_URL.value()
    cause: BaseException | None = error
    while cause is not None:
        url = ""
        if isinstance(cause, httpx.TransportError) and cause._request is not None:
            url = str(cause._request.url)
        elif isinstance(cause, RuntimeError):
            _, _, url = str(cause).partition("Failed to reach API at ")
        if url and (url.startswith(api_url) if api_url else "://127.0.0.1" in url):
            return TransientError(
                f"Prefect's server at {api_url or url} does not answer; nothing is lost: start it again, or unset "
                "PREFECT_API_URL for one of our own, and run the same command again: it goes on where this one ended"
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=10).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise TransientError(
        "Prefect's own server does not start; start one yourself (`prefect server start`), which says why, and set "
        "PREFECT_API_URL"
    )


def _kill(server: subprocess.Popen[bytes]) -> None:
    """Kill the server: nothing is asked of it any more, and a graceful shutdown takes two seconds."""
    server.kill()
    server.communicate()
