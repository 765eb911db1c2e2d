"""Fork server for Dask workers: shared imports happen once, in the command, while it has one thread."""

import contextlib
import importlib
import os
import socket
import sys
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

from data_contracts.errors import UsageError

# Imports of several seconds that start no thread. Others start some: pyarrow, Polars, deltalake and their users.
_PRELOADED = (
    "distributed.nanny",
    "torch",
    "prefect.main",
    "features.dsp.gemaps",
    "features.dsp.suprasegmentals",
    "features.segmentation.speaker_changes",
    "s3fs",
    "sqlalchemy.orm",
)
_server: Any = forkserver._forkserver


def prepare() -> bool:
    """Import what driver and workers share, and fork the process that workers are forked from.

    The fork server is multiprocessing's, except that it begins as a fork of this interpreter, not as a new one.
    Returns False without forking where another thread runs, which could hold a lock.
    """
    if sys.platform != "linux" or is_ready() or n_threads() > 1:
        return False
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # one worker for each core; and numpy would start threads at import
    _preload()
    if n_threads() > 1:
        return False
    _fork()
    return True


def _preload() -> None:
    """Import what is shared. Raises UsageError where Dask cannot read a user's configuration, as it does at import."""
    try:
        for name in _PRELOADED:
            importlib.import_module(name)
    except ValueError as error:
        if "dask config file" not in str(error):
            raise
        raise UsageError(
            f"expected YAML in Dask's configuration; found {' '.join(str(error).split())}; mend or move that file"
        ) from error


def is_ready() -> bool:
    """Return whether workers can be forked."""
    return _server._forkserver_pid is not None


def n_threads() -> int:
    """Return the number of threads of this process, those of libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _fork() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(util.get_temp_dir(), os.O_PATH)
        address = f"/proc/self/fd/{folder}/listener"  # the folder's own name may be longer than a socket's, 107 bytes
        listener.bind(address)
        Path(address).chmod(0o600)
        listener.listen()
        alive_r, alive_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive_w)
            _serve(listener.detach(), alive_r)
        os.close(alive_r)
    _server._forkserver_address, _server._forkserver_alive_fd, _server._forkserver_pid = address, alive_w, pid


def _warm_up() -> None:
    """Import what workers alone need while the driver works; a missing module is reported where it is used."""
    with contextlib.suppress(ImportError):
        importlib.import_module("scipy.signal")
        importlib.import_module("models.speaker.encoder").import_network_class()


def _serve(listener: int, alive_r: int) -> None:
    """Serve in the fork; it ends when the command and all workers have ended."""
    try:
        _warm_up()
        forkserver.main(listener, alive_r, [])
    finally:
        os._exit(0)
