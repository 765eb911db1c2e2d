"""Start Prefect's server and the fork server in parallel with the slow imports."""

from collections.abc import Callable

from flows.workers import forkserver
from flows.workers.prefect_server import start_server


def start_background() -> Callable[[], None]:
    """Start Prefect's server in its own process; meanwhile import, and fork the parent of the workers.

    Call it before anything else is imported. Call the returned function to wait for the server.
    """
    wait_for_server = start_server()
    forkserver.prepare()
    return wait_for_server
