"""Standard streams that are closed, full, broken off or of another encoding."""

import errno
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from helpers.explore_profile import unless_exploring
from helpers.paths import ROOT
from rich.console import Console

from flows.terminal.progress import TerminalReporter
from flows.terminal.streams import LenientStream, repair

FULL, GONE = OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError(errno.EPIPE, "Broken pipe")


class _Failing(BytesIO):
    error = FULL

    def write(self, _data):
        raise self.error


@pytest.mark.parametrize("error", [FULL, GONE])
def test_a_run_goes_on_where_nobody_can_be_told(monkeypatch, error):
    """A run that was to publish ended at its second line: `| head -1`, or a full disk under its log."""
    raw = _Failing()
    raw.error = error
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw))
    lenient = LenientStream("stdout")
    reporter = TerminalReporter(Console(file=lenient))
    for _ in range(3):
        reporter.say("plan", "one shard")
        with reporter.extraction(10):
            pass
    assert lenient.error is error
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO()))
    if error is GONE:
        lenient.require_written()
    else:
        with pytest.raises(OSError, match="No space left"):
            lenient.require_written()


def test_what_an_encoding_lacks_is_written_as_an_escape(monkeypatch):
    """PYTHONIOENCODING=ascii: UnicodeEncodeError at the first name with an accent."""
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="ascii", write_through=True))
    repair()
    print("José · 日")
    assert raw.getvalue() == b"Jos\\xe9 \\xb7 \\u65e5\n"


_FULL_DISK = ("{} query 'SELECT 1' > /dev/full", 1, "No space left")
_CLOSED = ("{} query 'SELECT 1' >&- <&-", 0, "")
_OTHERS = [
    ("{} query 'SELECT 1' --format csv > /dev/full", 1, "No space left"),
    ("{} tables --json > /dev/full", 1, "No space left"),
    ("{} query 'SELECT 1' --lake http://x 2>&-", 2, ""),
    ("{} query 'FROM range(1000000)' --format csv | head -n 1; exit ${{PIPESTATUS[0]}}", 0, ""),
    ("PYTHONIOENCODING=ascii {} query \"SELECT 'é'\"", 0, ""),
]


@pytest.mark.parametrize(
    ("shell", "code", "complaint"), unless_exploring([_FULL_DISK, _CLOSED], [_FULL_DISK, _CLOSED, *_OTHERS])
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_commands_with_odd_streams(tmp_path, shell, code, complaint):
    ended = subprocess.run(
        ["bash", "-c", shell.format(f"{sys.executable} -m flows")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "UNDERTONE_LAKE": str(tmp_path / "lake")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert (complaint in ended.stderr) if complaint else not ended.stderr
