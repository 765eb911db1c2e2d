"""`undertone dashboard`: charts of the published tables, in the browser."""

import os
import socket
import threading
import webbrowser
from typing import Annotated

import typer

from data_contracts.errors import UsageError
from flows.cli.options import Lake, given_flags
from flows.terminal.screen import escape_for_console, make_console

console = make_console()
_HOST = "127.0.0.1"


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(dashboard)


def dashboard(
    lake: Lake = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="A fixed port; 0: one that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Pictures of what was published, and the audio behind them: read-only, for this machine's browser alone.

    Ctrl-C ends it.
    """
    from flows.settings import Settings

    settings = Settings.load(**given_flags(lake=lake))
    lake_store = settings.open_lake()
    listener = _bind(port)
    address = f"http://{_HOST}:{listener.getsockname()[1]}"
    console.print(f"Dashboard of {escape_for_console(lake_store.uri)}: starting …", highlight=False)
    os.environ.setdefault("MARIMO_SKIP_UPDATE_CHECK", "1")
    os.environ["UNDERTONE_LAKE"] = settings.lake  # for the app, which loads its own
    import uvicorn

    from flows.dashboard.server import make_app, warm_up

    asgi_app = make_app(settings)
    warm_up(lake_store)
    server = uvicorn.Server(uvicorn.Config(asgi_app, log_level="warning", timeout_graceful_shutdown=1))
    console.print(f"Open [bold]{address}[/bold]   (Ctrl-C ends it)", highlight=False, soft_wrap=True)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with listener:
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            console.print("The dashboard is closed; the lake is as it was.")
            os._exit(0)  # threads of marimo's sessions would never end; everything open is open for reading


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen()  # an early request waits, and is not refused
    except OSError as error:
        listener.close()
        raise UsageError(
            f"--port: expected a free port of {_HOST}; {port} is taken ({error.strerror}): give another, or none"
        ) from error
    return listener
