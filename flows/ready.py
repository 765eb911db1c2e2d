"""What a worker does before it is asked for anything."""

import importlib
import threading
from typing import Any

from distributed import WorkerPlugin


class Ready(WorkerPlugin):
    """Imports what a shard needs, and starts a decoder: two seconds of each shard that is the first of its worker."""

    name = "undertone-ready"

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask passes it
        """On each worker, those that come in a dead one's place among them."""
        importlib.import_module("tasks.extract")
        from features import decoders

        threading.Thread(target=decoders.warm_up, daemon=True).start()
