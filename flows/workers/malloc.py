"""Worker plugin that lets malloc keep freed memory."""

import ctypes
import sys
from typing import Any

from distributed import WorkerPlugin

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_MMAP_BYTES = 32 << 20  # glibc's own limit once it has adapted itself


class KeepMemory(WorkerPlugin):
    """Undo Dask's malloc setting, which gives memory back at once.

    With that setting, tensors fault in every page of every batch, and the DSP runs three times slower.
    """

    name = "undertone-keep-memory"

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes = keep_bytes

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask passes it
        """Set malloc's thresholds on each worker, restarted ones included."""
        if sys.platform == "linux":
            malloc = ctypes.CDLL(None).mallopt
            malloc(_TRIM_THRESHOLD, self.keep_bytes)
            malloc(_MMAP_THRESHOLD, _MMAP_BYTES)
