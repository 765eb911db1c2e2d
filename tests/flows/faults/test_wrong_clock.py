"""Reads by a machine whose clock is a year off: after an overwrite, a correct machine's read counts."""

import shutil

import polars as pl
import pytest
from helpers.explore_profile import unless_exploring

from data_contracts.lake import Lake
from flows.backfill import backfill

YEAR_S = 365 * 86_400


@pytest.mark.slow
@pytest.mark.parametrize("wrong_by_s", unless_exploring([YEAR_S], [YEAR_S, -YEAR_S]))
def test_what_is_read_last_is_published(wrong_by_s, command, settings, few, sample, tmp_path):
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        pytest.skip("the wrong clock is made with a C compiler, and here is none")
    corpus, lake = tmp_path / "corpus", Lake(str(tmp_path / "lake"))
    shutil.copytree(few, corpus)
    changed = corpus / "2026" / "11" / "19" / "call-0001-voice-a.flac"
    where = ("--corpus", str(corpus), "--lake", lake.uri, "--cluster", "threads", "--workers", "1")
    child = command.born("backfill", *where, said=tmp_path / "said.txt", WRONG_BY_S=str(wrong_by_s))
    child.go()
    assert child.wait() == 0, child.said
    before = _recordings(lake)
    off_s = (before["started"][0] - _mtime(lake)).total_seconds()
    assert abs(off_s - wrong_by_s) < YEAR_S / 2, "the clock was wrong"
    shutil.copy(sample / "2026" / "11" / "19" / "call-0003-voice-c.flac", changed)
    backfill(settings=settings | {"corpus": str(corpus), "lake": lake.uri})
    after = _recordings(lake)
    old, new = (frame.filter(pl.col("uri").str.ends_with(changed.name)).row(0, named=True) for frame in (before, after))
    assert old["recording_id"] != new["recording_id"]
    assert new["etag"] != old["etag"]
    ids = lake.scan("utterances").collect()["recording_id"].to_list()
    assert new["recording_id"] in ids
    assert old["recording_id"] not in ids
    backfill(settings=settings | {"corpus": str(corpus), "lake": lake.uri})
    assert _recordings(lake).drop("started").equals(after.drop("started")), "and it stays so"


def _recordings(lake):
    started = lake.scan("runs").select("started").first().collect()["started"][0]
    return lake.scan("recordings").collect().sort("uri").with_columns(started=pl.lit(started))


def _mtime(lake):
    """Time of the first commit by the file system's clock."""
    import datetime as dt
    from pathlib import Path

    log = Path(lake.uri_of("analytics", "runs", "_delta_log", f"{0:020d}.json"))
    return dt.datetime.fromtimestamp(log.stat().st_mtime, dt.UTC)
