"""A standing Dask cluster for tests: a real scheduler and real workers, each a process of its own on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from helpers.paths import IMPORTABLE


@contextmanager
def scheduler(folder: Path, *, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its tcp:// address, and its process."""
    where = folder / "scheduler.json"
    where.unlink(missing_ok=True)
    options = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--scheduler-file", str(where))
    with _process("distributed.cli.dask_scheduler", *options, folder=folder, environment={}) as process:
        while not (where.exists() and where.read_text().rstrip().endswith("}")):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield json.loads(where.read_text())["address"], process


@contextmanager
def worker(
    address: str, folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One worker with one thread and without a nanny: to kill it is to kill the process."""
    fixed = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
    command = ("distributed.cli.dask_worker", address, *fixed, "--local-directory", str(folder), *options)
    with _process(*command, folder=folder, environment=environment or {}) as process:
        yield process


@contextmanager
def cluster(folder: Path, *, workers: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, each in a folder of its own."""
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(folder / "scheduler"))
        for number in range(workers):
            stack.enter_context(worker(address, folder / f"worker{number}"))
        yield address


@contextmanager
def _process(
    module: str, *options: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    paths = [IMPORTABLE, *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0"}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **ours, **environment},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
