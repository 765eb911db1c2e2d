"""Which process this is, in words that another can check: whether it is gone, where both are on one machine."""

import os
import socket
from pathlib import Path
from typing import TypedDict


class ProcessIdentity(TypedDict):
    """Where a process runs. A number is given again to others, so `born` stands beside it."""

    host: str
    machine: str  # of hosts and containers of the same name, this boot of this one
    pid: int
    born: str  # when it began, in ticks of that boot; empty where the system does not tell


def this_process() -> ProcessIdentity:
    """This process."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "born": _start_ticks(pid)}


def has_ended(place: ProcessIdentity) -> bool:
    """True where the process was on this machine and is no more; of other machines nothing is known: False."""
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
    """Field 22 of /proc/PID/stat; a process that ended and still waits to be asked for its status is gone."""
    try:
        state, *fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "gone" if state in {"Z", "X"} else fields[18]
