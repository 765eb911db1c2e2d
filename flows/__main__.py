"""`python -m flows` is `undertone`: the command, and its end."""

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn

from flows.cli.main import main


def run() -> NoReturn:
    """The console script. What is registered for the end is done; to take the interpreter apart took four seconds."""
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    _leave(code if isinstance(code, int) else int(bool(code)))


def _leave(code: int) -> NoReturn:
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does: threads first, then what was registered
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
