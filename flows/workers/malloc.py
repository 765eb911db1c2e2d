"""What a worker's malloc keeps of what is free."""

import ctypes
import sys
from typing import Any

from distributed import WorkerPlugin

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MMAP_BYTES = 32 << 20  # glibc's own limit once it has adapted itself


class KeepMemory(WorkerPlugin):
    """Dask starts its workers with a malloc that gives memory back at once.

    Tensors then fault in every page of every batch, and the DSP runs three times slower.
    """

    name = "undertone-keep-memory"

    def __init__(self, keeps_bytes: int) -> None:
        self.keeps_bytes = keeps_bytes

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask passes it
        """On each worker, those that come in a dead one's place among them."""
        if sys.platform == "linux":
            malloc = ctypes.CDLL(None).mallopt
            malloc(_TRIM_THRESHOLD, self.keeps_bytes)
            malloc(_MMAP_THRESHOLD, _MMAP_BYTES)
