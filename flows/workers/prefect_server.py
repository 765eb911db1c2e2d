"""Prefect's server for one command, where none is set; and what is said where it goes away."""

import atexit
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from data_contracts.errors import TransientError

_START_TIMEOUT_S = 120.0
_SETTINGS_FILES = {
    ".env": "PREFECT_",
    "prefect.toml": "",
    "pyproject.toml": "[tool.prefect",
}  # a file, and what it says

# It tells its port before it imports anything, serves, and ends with whoever started it, however that one ends.
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
    """Starts it beside what the command imports: seconds each, and neither needs the other. Call the answer to wait.

    To be called before Prefect is imported, which then learns where it is. None is started where PREFECT_API_URL names
    one.
    """
    if os.environ.get("PREFECT_API_URL"):
        return lambda: None
    if _has_settings_file():
        return _start_as_prefect_does
    _home().mkdir(parents=True, exist_ok=True)  # Prefect's command makes it, its server does not
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER],
        env={**os.environ, **_SETTINGS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the run, which has a last word for it
    )
    atexit.register(_kill, server)
    port = int(server.stdout.readline())  # type: ignore[union-attr]
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    return lambda: _wait_until_healthy(server, f"http://127.0.0.1:{port}/api/health")


def _has_settings_file() -> bool:
    """Whether Prefect may find settings in a file; only it knows how to read these all, and to know it is slow."""
    profiles = os.environ.get("PREFECT_PROFILES_PATH") or str(_home() / "profiles.toml")
    places = {profiles: "PREFECT_"} | _SETTINGS_FILES
    return any(Path(path).is_file() and word in Path(path).read_text("utf-8") for path, word in places.items())


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def _start_as_prefect_does() -> None:
    """It takes what is set, or starts the same server when somebody asks for the first time."""
    from prefect.client.orchestration import get_client

    get_client(sync_client=True)


def explain_unreachable(error: BaseException) -> TransientError | None:
    """What to say of an error that comes of Prefect's server being out of reach; None where it is another."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    chosen = PREFECT_API_URL.value()
    seen: BaseException | None = error
    while seen is not None:
        url = ""
        if isinstance(seen, httpx.TransportError) and seen._request is not None:
            url = str(seen._request.url)
        elif isinstance(seen, RuntimeError):
            _, _, url = str(seen).partition("Failed to reach API at ")
        if url and (url.startswith(chosen) if chosen else "://127.0.0.1" in url):
            return TransientError(
                f"Prefect's server at {chosen or url} does not answer; nothing is lost: start it again, or unset "
                "PREFECT_API_URL for one of our own, and run the same command again: it goes on where this one ended"
            )
        seen = seen.__cause__ or seen.__context__
    return None


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until and server.poll() is None:
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
    """At once: it is asked nothing any more, and a shutdown in its own time takes two seconds."""
    server.kill()
    server.communicate()
