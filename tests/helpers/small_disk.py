"""A disk that is full when the test wants it to be: a small tmpfs in a mount namespace of its own.

Whoever is to use it enters the namespace. From outside it is seen below /proc/PID/root; Delta, which resolves links,
finds nothing there: copy what is to be read.
"""

import ctypes
import importlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """It lies at `path` for those inside, and at `outside` for all."""

    path: Path
    pid: int

    @property
    def outside(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self.path}")

    def resize(self, n_bytes: int) -> None:
        enter = ["nsenter", "--target", str(self.pid), "--user", "--mount", "--preserve-credentials"]
        _mount(enter, n_bytes, self.path)

    def entered(self, *, full_from: str = "") -> str:
        """Python for a process with one thread, that enters; no page is left from `module.function[:argument]` on."""
        return f"from helpers.small_disk import enter; enter({self.pid}, {str(self.path)!r}, {full_from!r})"


@contextmanager
def small_disk(path: Path, n_bytes: int) -> Iterator[SmallDisk]:
    """Skips where no namespace, or no tmpfs in it, is to be had."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("a small disk is made with unshare and nsenter, and here they are not")
    path.mkdir()
    script = f"mount -t tmpfs -o size={n_bytes} tmpfs '{path}' && echo ready && exec cat"
    holder = subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("a small disk is a tmpfs in a namespace of its own, and this machine allows none")
        yield SmallDisk(path, holder.pid)
    finally:
        holder.communicate()


def enter(pid: int, path: str, full_from: str) -> None:
    """What a process does that is to live on the disk of the namespaces of `pid`."""
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("user", "mnt")]
    for space in spaces:
        if libc.setns(space, 0):
            raise OSError(ctypes.get_errno(), "setns")
    if full_from:
        _fill_before(Path(path), *full_from.partition(":")[::2])


def _fill_before(path: Path, function: str, argument: str) -> None:
    module, _, name = function.rpartition(".")
    step = getattr(importlib.import_module(module), name)

    def filling(*args: Any, **kwargs: Any) -> Any:
        if not argument or argument in args:
            said = os.statvfs(path)
            _mount([], (said.f_blocks - said.f_bfree) * said.f_frsize, path)
        return step(*args, **kwargs)

    setattr(importlib.import_module(module), name, filling)


def _mount(prefix: list[str], n_bytes: int, path: Path) -> None:
    subprocess.run([*prefix, "mount", "-o", f"remount,size={n_bytes}", str(path)], check=True, capture_output=True)
