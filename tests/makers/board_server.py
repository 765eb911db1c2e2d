"""`undertone dashboard` as a real process."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dashboard(lake: str) -> Iterator[str]:
    """`undertone dashboard`, ended by Ctrl-C; yields its address."""
    command = [sys.executable, "-m", "flows", "dashboard", "--lake", lake, "--no-browser"]
    root = Path(__file__).parents[2]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root)
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = server.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        yield found[0]
    finally:
        server.send_signal(signal.SIGINT)
        rest = server.communicate(timeout=60)[0]
    assert server.returncode == 0, rest
    assert "the lake is as it was" in rest
