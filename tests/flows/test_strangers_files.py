"""Files of explorers, synchronisers and people in every folder of a lake: passed over, by runs, upkeep and queries."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.tables import assert_same_tables

import flows.maintain
from data_contracts.lake import Lake
from data_contracts.lake.feature_files import feature_files
from features.store import shard_files
from flows.analytics.runs import recent_runs
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.maintain import maintain
from flows.nightly import nightly

NAMES = ("Thumbs.db", "desktop.ini", ".DS_Store", "._a", "notes", "~$a.xlsx", "0f3a9c2e (1).parquet", "0f3a 2.parquet")
NAMES += ("0f3a.sync-conflict-20261122-030000-ABCDEFG.parquet", "0f3a.parquet.tmp", "pack-0f3a-PC.parquet", "run.json~")
SQL = "SELECT (SELECT count(*) FROM segments) AS a, (SELECT count(*) FROM utterances) AS b"


def _litter(root: Path) -> list[Path]:
    """Put strangers' files into every folder of the lake, and a second copy beside each folder with a date or a run."""
    folders = [folder for folder in root.rglob("*") if folder.is_dir()]
    for folder in folders:
        if folder.name.startswith(("date=", "version=", "run=")) and "analytics" not in folder.parts:
            shutil.copytree(folder, folder.with_name(f"{folder.name} (1)"))
    litter = [folder / name for folder in [root, *folders] if folder.is_dir() for name in NAMES]
    for path in litter:
        path.write_bytes(b"not ours")
    return litter


def test_a_lake_full_of_strangers_files_is_used_as_a_clean_one(published_few, contents, monkeypatch):
    root = Path(published_few["lake"])
    lake, before = Lake(str(root)), contents(root)
    rows, runs = query(lake, SQL), recent_runs(lake, 9)
    (root / "staging" / "publishing").mkdir(parents=True, exist_ok=True)
    litter = _litter(root)
    assert query(lake, SQL).equals(rows)
    assert recent_runs(lake, 9).equals(runs)
    assert nightly(date=dt.date(2026, 11, 21), settings=published_few).n_known == 3
    assert backfill(stage="score", force=True, settings=published_few).n_published_recordings == 3
    pack = flows.maintain.pack_features
    later = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
    monkeypatch.setattr(flows.maintain, "pack_features", lambda lake, _now, **how: pack(lake, later, **how))
    maintain(settings=published_few)
    assert_same_tables(contents(root), before)
    assert query(lake, SQL).equals(rows)
    assert all(path.exists() for path in litter if "analytics" not in path.parts), "they are not ours to remove"


@pytest.mark.parametrize("folder", ["features", "features/segments", "staging", "staging/publishing", "validation"])
def test_a_file_where_a_folder_is_expected(folder, tmp_path):
    root = tmp_path / "lake"
    (root / folder).mkdir(parents=True)
    for name in ("notes", "version=v1", "date=2026-11-21", "run=r1", "segments_old"):
        (root / folder / name).write_bytes(b"not ours")
    lake = Lake(str(root))
    assert [shard_files.dates(lake, version) for version in shard_files.versions(lake, "segments")] in ([], [[]])
    assert recent_runs(lake, 9).num_rows == 0


def test_a_marker_of_a_folder_in_a_bucket_is_no_file(lake_anywhere):
    """Consoles of object stores create an empty object for each folder."""
    folder = shard_files.folder("segments", "v1", dt.date(2026, 11, 21))
    if not lake_anywhere.is_local:
        lake_anywhere.write(f"{folder}/", b"")
    lake_anywhere.write(f"{folder}/0a.parquet", b"rows")
    assert [file.path for file in feature_files(lake_anywhere, "segments")] == [f"{folder}/0a.parquet"]
