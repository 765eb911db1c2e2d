"""Places of state and temporary files: homes and folders that are missing, read-only, full or long."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.paths import ROOT

from flows import places

MOVED = {"PREFECT_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder that cannot be written, also for root."""
    access, folder = os.access, tmp_path / "closed"
    folder.mkdir()
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not (Path(path) == folder and mode & os.W_OK)
    )
    return folder


def test_a_home_that_can_be_written_is_left_alone(tmp_path):
    environ = {"HOME": str(tmp_path / "not" / "yet"), "TMPDIR": str(tmp_path)}
    before = dict(environ)
    assert list(places.settle(environ)) == []
    assert environ == before


def test_state_moves_out_of_a_home_that_cannot_be_written(closed, temporary):
    """systemd's ProtectHome, or `docker run --user`: OSError [Errno 30] '~/.prefect'."""
    environ = {"HOME": str(closed)}
    (line,) = places.settle(environ)
    root = f"{temporary}/undertone-{os.getuid()}"
    assert line.startswith(f"HOME={closed} cannot be written; state goes to {root}: set HOME, or PREFECT_HOME")
    assert environ["HOME"] == str(closed)  # credentials may be read there
    assert environ.keys() - {"HOME"} == MOVED
    assert all(value.startswith(f"{root}/") for name, value in environ.items() if name != "HOME")
    assert Path(root).stat().st_mode & 0o777 == 0o700
    assert list(places.settle(dict(environ))) == []  # a child says nothing again


def test_state_goes_where_xdg_says(closed, tmp_path):
    environ = {"HOME": str(closed), "XDG_STATE_HOME": str(tmp_path / "state"), "MPLCONFIGDIR": str(tmp_path)}
    (line,) = places.settle(environ)
    assert f"state goes to {tmp_path}/state/undertone:" in line
    assert environ["PREFECT_HOME"] == f"{tmp_path}/state/undertone/prefect"
    assert (environ["XDG_STATE_HOME"], environ["MPLCONFIGDIR"]) == (str(tmp_path / "state"), str(tmp_path))


def test_without_any_home_one_is_made(monkeypatch, temporary):
    monkeypatch.setattr(Path, "expanduser", lambda _path: (_ for _ in ()).throw(RuntimeError("no home")))
    environ: dict[str, str] = {}
    assert len(list(places.settle(environ))) == 1
    assert environ["HOME"] == f"{temporary}/undertone-{os.getuid()}"


@pytest.mark.parametrize("problem", [errno.ENOENT, errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_of_temporary_files_that_cannot_be_used_is_passed_over(monkeypatch, temporary, problem):
    def refuse(**_options):
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    environ = {"HOME": str(temporary), "TMPDIR": "/scratch"}
    (line,) = places.settle(environ)
    assert line == f"TMPDIR=/scratch cannot be used ({os.strerror(problem)}); temporary files go to {temporary}"
    assert "TMPDIR" not in environ


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_are_forked_below_a_long_folder_of_temporary_files(tmp_path):
    """OSError: AF_UNIX path too long."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", _FORK],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout.split(), ended.returncode) == (["forked"], 0), ended.stderr


_FORK = """
import multiprocessing
from flows.workers import forkserver
forkserver._warm_up = lambda: None
forkserver._fork()
process = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",))
process.start()
process.join()
"""
