"""Prefect's server for one command, where none is set; and what is said where it goes away."""

import threading
from collections.abc import Callable

from data_contracts.errors import TransientError


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


def went_away(error: BaseException) -> TransientError | None:
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
