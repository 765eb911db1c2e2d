"""How a command that runs a flow begins: what takes seconds, in the order in which nothing waits for another."""

from collections.abc import Callable

from flows.workers import forkserver
from flows.workers.prefect_server import start_server


def start_background() -> Callable[[], None]:
    """Prefect's server in a process of its own; meanwhile the imports, and what workers are forked from.

    To be called before anything else is imported. Call the answer to wait for the server.
    """
    ready = start_server()
    forkserver.prepare()
    return ready
