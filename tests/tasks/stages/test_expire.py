"""Retention by the store's clock: old folders are removed; waiting, live and used ones stay."""

import datetime as dt
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.lake import Lake
from data_contracts.schema.tables import RECORDINGS
from features.store import shard_files
from tasks.maintenance_report import store_time
from tasks.stages import expire
from tasks.staging.expiry import unpublished_versions

DAY = dt.date(2026, 11, 21)


def _age(lake: Lake, path: str, days: float) -> None:
    then = time.time() - days * 86_400
    whole = Path(lake.path, path)
    for file in [whole, *whole.rglob("*")]:
        os.utime(file, (then, then))


def _staging(lake: Lake, run: str, days: float, *names: str) -> None:
    for name in ("run.json", "tables/utterances.parquet", *names):
        lake.write(f"staging/run={run}/{name}", b"{}")
    _age(lake, f"staging/run={run}", days)


def test_old_stagings_are_removed(lake):
    _staging(lake, "old", 31)
    _staging(lake, "young", 29)
    _staging(lake, "waiting", 31, "ready.json")
    _staging(lake, "living", 31)
    lake.write("staging/run=living/alive.json", b"{}")
    lake.write("staging/publish.lock", b"{}")
    line = expire.expire_stagings.fn(lake, store_time(lake), older_than_days=30, dry_run=True)
    assert (line.did, line.files_before, line.files_after) == ("1 run(s) older than 30 days would be removed", 2, 2)
    assert "run=old" in lake.names("staging")
    line = expire.expire_stagings.fn(lake, store_time(lake), older_than_days=30, dry_run=False)
    assert (line.files_before, line.files_after) == (2, 0)
    assert lake.names("staging") == ["publish.lock", "run=living", "run=waiting", "run=young"]
    line = expire.expire_stagings.fn(lake, store_time(lake), older_than_days=30, dry_run=False)
    assert line.did == "nothing older than 30 days"


def test_old_reports_are_removed(lake):
    now = store_time(lake)
    names = {days: f"run={now - dt.timedelta(days):%Y%m%dT%H%M%SZ}-0a1b2c" for days in (399, 401)}
    names["odd"] = "run=by-hand"
    for days, name in names.items():
        lake.write(f"validation/{name}/docs/index.html", b"x" * 10)
        _age(lake, f"validation/{name}", 401 if days == "odd" else days)
    lake.write(f"validation/run={now - dt.timedelta(500):%Y%m%dT%H%M%SZ}-0a1b2c/late.html", b"")
    line = expire.expire_reports.fn(lake, now, older_than_days=400, dry_run=False)
    assert (line.files_before, line.files_after, line.bytes_before) == (2, 0, 20)
    left = lake.names("validation")
    assert names[399] in left
    assert len(left) == 2, "and what was written to late"


def _version(lake: Lake, version: str, days: float, *, published: bool = False) -> None:
    for feature_set in ("segments", "recordings"):
        for date in (DAY, DAY + dt.timedelta(1)):
            lake.write_parquet(shard_files.path(feature_set, version, date, "0a"), pa.table({"x": [1]}))
        _age(lake, f"features/{feature_set}/version={version}", days)
    if published:
        row = dict.fromkeys(("emotion_model", "speaker_model", "run_id", "uri", "etag"), "x")
        row |= {"bytes": 1, "modified": dt.datetime.now(dt.UTC), "read_at": dt.datetime.now(dt.UTC), "tries": 1}
        row |= {"status": "ok", "date": DAY, "feature_version": version}
        rows = pa.Table.from_pylist([row], schema=RECORDINGS)
        write_deltalake(lake.uri_of("analytics", "recordings"), rows, mode="append")


def test_unused_features_are_listed_and_dropped_on_request_only(lake):
    _version(lake, "published", 100, published=True)
    _version(lake, "unused", 100)
    _version(lake, "new", 1)
    assert unpublished_versions(lake) == ["new", "unused"]
    now = store_time(lake)
    for _ in range(2):
        lines = expire.expire_versions.fn(lake, now, ["new", "unused"], older_than_days=7, drop=False)
        assert [(line.files_before, line.files_after) for line in lines] == [(4, 4), (4, 4)]
        assert lines[1].did == "unused; --drop-versions drops it"
    lines = expire.expire_versions.fn(lake, now, ["new", "unused"], older_than_days=7, drop=True)
    assert [(line.did, line.files_after) for line in lines] == [("in use nowhere yet, new: kept", 4), ("dropped", 0)]
    assert shard_files.versions(lake) == shard_files.versions(lake, "segments") == ["new", "published"]


def test_a_half_dropped_version_is_dropped_the_next_time(lake, monkeypatch):
    _version(lake, "unused", 100)
    removed, remove = [], Lake.remove

    def die(self, folder):
        remove(self, folder)
        removed.append(folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as death:
        death.setattr(Lake, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            expire.expire_versions.fn(lake, dt.datetime.now(dt.UTC), ["unused"], older_than_days=7, drop=True)
    assert removed == ["features/recordings/version=unused"], "what says that a shard is done goes first"
    assert shard_files.shards(lake, "unused", DAY) == []
    assert unpublished_versions(lake) == ["unused"]
    expire.expire_versions.fn(lake, dt.datetime.now(dt.UTC), ["unused"], older_than_days=7, drop=True)
    assert unpublished_versions(lake) == []


def test_ages_come_from_s3(s3):
    """The store dates its own files."""
    lake = Lake(f"s3://{s3}/lake")
    lake.write("staging/run=r/run.json", b"{}")
    later = store_time(lake) + dt.timedelta(days=31)
    assert expire.expire_stagings.fn(lake, store_time(lake), older_than_days=30, dry_run=False).files_before == 0
    assert expire.expire_stagings.fn(lake, later, older_than_days=30, dry_run=False).files_before == 1
    assert lake.names("staging") == []
