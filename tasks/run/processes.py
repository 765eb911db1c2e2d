"""Identity of a process that another process on the machine can check: whether it has ended."""

import os
import socket
from pathlib import Path
from typing import TypedDict


class ProcessIdentity(TypedDict):
    """Machine and number of a process. Numbers are reused, so `born` stands beside it."""

    host: str
    machine: str  # tells apart boots, and containers with the same host name
    pid: int
    born: str  # start in ticks since boot; empty where the system does not tell


def this_process() -> ProcessIdentity:
    """Return the identity of this process."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "born": _start_ticks(pid)}


def has_ended(place: ProcessIdentity) -> bool:
    """Return whether the process was on this machine and has ended; False for other machines, which cannot be asked."""
    if place["machine"] != _machine():
        return False
    try:
        os.kill(place["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _start_ticks(place["pid"]) != place["born"]


def _machine() -> str:
    """The boot and the container's process table; the host's name where the system tells neither."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _start_ticks(pid: int) -> str:
    """Field 22 of /proc/PID/stat; "gone" for a zombie, which has ended and waits for its parent."""
    try:
        state, *fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "gone" if state in {"Z", "X"} else fields[18]
