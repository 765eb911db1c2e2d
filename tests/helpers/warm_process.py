"""The `undertone` command as real processes that die for real, without the ten seconds that each takes to import.

One process imports everything, starts no thread of its own, and forks a child a command. Each child is born stopped,
so that whoever is to kill it knows its number before it does anything.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.paths import IMPORTABLE

_IMPORTED = ("distributed", "great_expectations", "mlflow", "s3fs", "silero_vad", "flows.backfill", "flows.cli.main")


class Warm:
    """The process that forks, as the tests steer it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def born(
        self, *argv: str, said: Path, complained: Path | None = None, first: str = "", **environment: str
    ) -> "Child":
        """A child that does `undertone ARGV` when it is told to, after the Python in `first`.

        It writes to `said`; where `complained` is given, standard error goes there.
        """
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | environment
        files = {"said": str(said), "complained": str(complained or said), "folder": str(Path.cwd())}
        order = {"argv": argv, "first": first, "environment": environment} | files
        return Child(self, self.ask(**order)["pid"], said)

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@dataclass(frozen=True)
class Child:
    """One command."""

    parent: Warm
    pid: int
    file: Path

    def go(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Its exit code, or the signal that ended it, negative."""
        return int(self.parent.ask(wait=self.pid)["code"])

    @property
    def said(self) -> str:
        return self.file.read_text()


@contextmanager
def warm(**environment: str) -> Iterator[Warm]:
    """The parent, with one thread a library at most; it ends with its standard input."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers.warm_process"],
        env={**os.environ, **one, "PYTHONPATH": IMPORTABLE, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        parent = Warm(process)
        assert parent.ask()["python_threads"] == 1, "a thread that is not forked may hold a lock that is"
        yield parent
    finally:
        process.communicate()


def _serve() -> None:
    from flows.terminal.logging import quieten

    quieten(debug=False)
    for name in _IMPORTED:
        importlib.import_module(name)
    children = set()
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        if "argv" in order:
            pid = os.fork()
            if not pid:
                _live(order)
            children.add(pid)
            os.waitpid(pid, os.WUNTRACED)
            answer = {"pid": pid}
        elif "wait" in order:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
            children.discard(order["wait"])
        else:
            answer = {"python_threads": threading.active_count()}
        print(json.dumps(answer), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _live(order: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    os.chdir(order["folder"])
    said, complained = (os.open(order[to], os.O_WRONLY | os.O_CREAT | os.O_APPEND) for to in ("said", "complained"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream, file in ((0, nothing), (1, said), (2, complained)):
        os.dup2(file, stream)
    os.environ.update(order["environment"])
    sys.argv = ["undertone", *order["argv"]]
    code = 1
    try:
        exec(order["first"], {})
        importlib.import_module("flows.cli.main").main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - a child never becomes a second parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
