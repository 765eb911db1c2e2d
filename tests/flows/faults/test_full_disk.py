"""A full disk under the lake: the run says so, nothing half is visible; with room, the next run completes."""

import errno
import shutil

import pytest
from helpers.explore_profile import unless_exploring
from helpers.small_disk import small_disk
from helpers.tables import assert_same_tables

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from tasks.publication.commit import RUN_ID

ROOM = 64 << 20
EXTRACT, COMMIT = "flows.pipeline.extract", "tasks.publication.publish._staged_change:recordings"
STAGES = unless_exploring(
    [EXTRACT, COMMIT], [EXTRACT, "flows.publish_in_parts.integrate", "flows.publish_in_parts.audit", COMMIT]
)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", ROOM) as disk:
        yield disk


def test_a_file_appears_whole_or_not_at_all(disk):
    lake = Lake(str(disk.outside / "lake"))
    disk.resize(16 << 10)
    with pytest.raises(LakeError, match=r"lake/big: \[Errno 28\] No space left.*make room") as failed:
        lake.write("big", bytes(1 << 20))
    assert failed.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(LakeError, match="No space left"):
        lake.create("big", bytes(1 << 20))
    assert list((disk.outside / "lake").iterdir()) == [], "no draft is left either"
    lake.write("small", b"1")


@pytest.mark.slow
def test_full_in_one_stage_after_the_other(disk, command, few, few_lake, contents, tmp_path):
    """Each run goes on from what the one before it could write, and finds the disk full a stage later."""
    for stage in STAGES:
        disk.resize(ROOM)
        code, said = _run(disk, command, few, tmp_path / f"{stage}.txt", full_from=stage)
        assert code == 1, said
        assert f"{disk.path}/lake/" in said
        assert "No space left on device" in said.replace("\n", " ")
        assert "make room" in said
        assert "Traceback" not in said
        if "_change" not in stage:
            assert not (disk.outside / "lake" / "analytics").exists(), f"full in {stage}, and something is visible"
    disk.resize(ROOM)
    code, said = _run(disk, command, few, tmp_path / "last.txt")
    assert code == 0, said
    shutil.copytree(disk.outside / "lake", tmp_path / "copy")
    found = contents(tmp_path / "copy")
    assert_same_tables(found, contents(few_lake[0]))
    for table in found:
        commits = [commit[RUN_ID] for commit in Lake(str(tmp_path / "copy")).delta(table).history()]
        assert len(commits) == len(set(commits))


def _run(disk, command, few, said, *, full_from=""):
    where = ("--corpus", str(few), "--lake", str(disk.path / "lake"), "--cluster", "threads", "--workers", "1")
    child = command.born("backfill", *where, said=said, first=disk.entered(full_from=full_from))
    child.go()
    return child.wait(), child.said
