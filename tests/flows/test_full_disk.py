"""The lake's disk is full: the run says so, nothing is half visible; with room again, running again completes."""

import errno
import re

import pytest
from polars.testing import assert_frame_equal
from small_disk import small_disk

import flows.pipeline
import tasks.publish
from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from flows.backfill import backfill
from tasks.publish import RUN_ID

FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}
ROOM = 64 << 20
STAGES = (
    *((flows.pipeline, stage) for stage in ("plan", "extract", "identify", "score", "integrate", "audit", "publish")),
    (tasks.publish, "_commit"),
)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", ROOM) as disk:
        yield disk


def test_a_file_appears_whole_or_not_at_all(disk):
    lake = Lake(str(disk.path / "lake"))
    disk.resize(16 << 10)
    with pytest.raises(LakeError, match=r"lake/big: \[Errno 28\] No space left.*make room") as failed:
        lake.write("big", bytes(1 << 20))
    assert failed.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(LakeError, match="No space left"):
        lake.create("big", bytes(1 << 20))
    assert list((disk.path / "lake").iterdir()) == [], "no draft is left either"
    lake.write("small", b"1")


@pytest.mark.slow
def test_full_in_each_stage_one_after_the_other(disk, settings, few, contents, tmp_path, monkeypatch):
    """Each run goes on from what the one before it could write, and finds the disk full a stage later."""
    flags = settings | {"corpus": str(few), "workers": 1}
    backfill(settings=flags | {"lake": str(tmp_path / "alone")})
    lake = Lake(str(disk.path / "lake"))
    here = flags | {"lake": lake.uri}
    for module, stage in STAGES:
        disk.resize(ROOM)
        with monkeypatch.context() as filling:
            filling.setattr(module, stage, _full_before(disk, getattr(module, stage)))
            with pytest.raises(LakeError, match=f"(?s){re.escape(lake.uri)}.*No space left on device") as failed:
                backfill(settings=here)
        assert "make room" in str(failed.value), stage
        if stage != "_commit":
            assert lake.names("analytics") == [], f"full in {stage}, and something is visible"
    disk.resize(ROOM)
    backfill(settings=here)
    found, undisturbed = contents(lake.uri), contents(tmp_path / "alone")
    assert found.keys() == undisturbed.keys()
    for table in found:
        assert_frame_equal(found[table], undisturbed[table], **FLOAT)
        commits = [commit[RUN_ID] for commit in lake.delta(table).history()]
        assert len(commits) == len(set(commits))


@pytest.mark.slow
def test_the_command_says_it_in_one_sentence(disk, command, few, tmp_path):
    lake = disk.path / "lake"
    disk.resize(200 << 10)
    where = ("--corpus", str(few), "--lake", str(lake), "--cluster", "threads", "--workers", "1")
    child = command.born("backfill", *where, said=tmp_path / "said.txt")
    child.go()
    assert child.wait() == 1
    said = " ".join(child.said.split())
    assert f"Failed: writing {lake}" in said
    assert "No space left on device" in said
    assert "Traceback" not in said


def _full_before(disk, step):
    """The disk is as large as what is on it, from when `step` begins."""

    def fill_up(*args, **kwargs):
        disk.fill()
        return step(*args, **kwargs)

    return fill_up
