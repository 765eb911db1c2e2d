"""Prefect's server for one command, where none is set."""

import threading
from collections.abc import Callable


def start_server() -> Callable[[], None]:
    """Starts it beside what the command imports: seconds each, and neither needs the other. Call the answer to wait.

    Prefect starts the same server by itself when a flow begins; where PREFECT_API_URL names one, none is started.
    """
    thread = threading.Thread(target=_connect, daemon=True)
    thread.start()
    return thread.join


def _connect() -> None:
    from prefect.client.orchestration import get_client

    get_client(sync_client=True)
