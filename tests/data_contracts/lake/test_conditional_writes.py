"""Detection of stores without conditional writes, which leaves no files behind."""

import errno
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers.faulty_s3 import Fault
from helpers.paths import ROOT

from data_contracts import lake as lakes
from data_contracts.errors import LakeError
from data_contracts.lake import conditional_writes, new_files, storage
from data_contracts.lake.conditional_writes import find_broken_condition, require_conditional_writes

_PUBLISH = """
import sys
import pyarrow as pa
from data_contracts import lake as lakes
from data_contracts.lake.conditional_writes import require_conditional_writes
from tasks.publication.commit import Change, commit
lake = lakes.open(sys.argv[1])
require_conditional_writes(lake)
for stamp in ("a", "a", "b", "c"):
    rows = pa.table({"uri": [stamp], "etag": ["x"]})
    commit(lake, Change("rejects", rows), {"undertone.run_id": stamp})
print(lake.scan("rejects").collect().height, lake.delta("rejects").version() - 1)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(conditional_writes, "_checked", set())
    monkeypatch.setattr(storage, "_without_links", set())
    return lakes.open(str(tmp_path / "lake"))


@pytest.fixture
def lake(s3, faulty, monkeypatch):
    monkeypatch.setattr(conditional_writes, "_checked", set())
    return lakes.open(f"s3://{s3}/lake")


def test_a_conforming_store_is_tested_once_and_left_unchanged(lake, faulty):
    require_conditional_writes(lake)
    assert lake.names("staging") == []
    asked = faulty.n_requests
    require_conditional_writes(lake)
    assert faulty.n_requests == asked


def test_a_store_that_ignores_conditions_is_refused(lake, faulty, s3):
    """npm's s3rver: 570 rows were acknowledged, and 480 were there."""
    faulty.do(Fault("ignore_conditions", on="PUT"))
    for _ in range(2):
        with pytest.raises(LakeError, match=rf"(?s)expected .*If-None-Match.*found one that ignores.*s3://{s3}/lake"):
            require_conditional_writes(lake)
    assert lake.names("staging") == []


def test_a_store_that_checks_and_then_writes_is_refused(lake, faulty):
    """Swift's s3api: one after the other all is right, and of 600 rows 550 were there."""
    faulty.do(Fault("loose_conditions", on="PUT", seconds=0.005))
    assert lake.create("a", b"1")
    assert not lake.create("a", b"2")
    with pytest.raises(
        LakeError, match=r"looks first and writes then \(\d of 8 created the same file\).*another store"
    ):
        require_conditional_writes(lake)


def test_a_transient_error_is_not_a_violation(lake, faulty):
    faulty.do(Fault("any", share=0.2, kinds=("slow_down", "internal_error", "reset", "reset_after", "truncate")))
    assert find_broken_condition(lake) is None
    assert {"slow_down", "reset_after"} <= {done for _, done in faulty.log}


def test_a_folder_is_tested_once_and_left_unchanged(folder):
    assert find_broken_condition(folder) is None
    assert folder.sizes("") == {}


def test_a_folder_without_hard_links_is_published_to_by_renames(folder, monkeypatch):
    """exFAT, SMB, Azure Files: doctor was content, and after hours of computing the lock was "access denied"."""
    monkeypatch.setattr(os, "link", _refuse)
    require_conditional_writes(folder)
    assert folder.storage_options == {"allow_unsafe_rename": "true"}
    assert folder.sizes("") == {}


def test_a_folder_without_hard_links_and_such_renames_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "link", _refuse)
    monkeypatch.setattr(new_files.ctypes, "CDLL", lambda *_args, **_more: SimpleNamespace())
    with pytest.raises(LakeError, match=r"found one without hard links, .*; put the lake on a local disk, or give"):
        require_conditional_writes(folder)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="a library that refuses links is compiled")
def test_delta_commits_without_hard_links(tmp_path):
    """As the whole process would find it: delta-rs makes its system calls by itself."""
    source = "#include <errno.h>\n"
    for call in ("link(const char *a, const char *b)", "linkat(int a, const char *b, int c, const char *d, int e)"):
        source += f"int {call} {{ errno = EPERM; return -1; }}\n"
    library = tmp_path / "nolink.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=source.encode(), check=True)
    ended = subprocess.run(
        [sys.executable, "-c", _PUBLISH, tmp_path / "lake"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout.split(), ended.returncode) == (["3", "1"], 0), ended.stderr


def _refuse(*_args: object, **_more: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")
