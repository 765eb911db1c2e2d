"""Entry point of the `undertone` command (`python -m flows`), and a fast exit after it."""

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn

from flows.cli.main import error_console, main
from flows.terminal import streams


def run() -> NoReturn:
    """Run the command and exit with its code, after its exit handlers; a full shutdown takes four seconds."""
    code: object = 0
    streams.repair()
    try:
        main()
    except SystemExit as request:
        code = request.code
    _exit_process(code if isinstance(code, int) else int(bool(code)))


def _exit_process(code: int) -> NoReturn:
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does: threads first, then exit handlers
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has gone
        pass
    except OSError as error:
        code = code or 1
        error_console.print(f"Standard output cannot be written: {error}; what the command printed is lost")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
