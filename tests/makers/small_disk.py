"""A disk that is full when the test wants it to be: a small tmpfs in a mount namespace of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A folder below `path`, of a size that can be changed."""

    def __init__(self, path: Path, holder: "subprocess.Popen[str]") -> None:
        self._inside, self._holder = path, holder
        self.path = Path(f"/proc/{holder.pid}/root{path}")

    def resize(self, n_bytes: int) -> None:
        enter = ["nsenter", "--target", str(self._holder.pid), "--user", "--mount", "--preserve-credentials"]
        command = [*enter, "mount", "-o", f"remount,size={n_bytes}", str(self._inside)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self) -> None:
        """No page is left."""
        said = os.statvfs(self.path)
        self.resize((said.f_blocks - said.f_bfree) * said.f_frsize)


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
        yield SmallDisk(path, holder)
    finally:
        holder.communicate()
