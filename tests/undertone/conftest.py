"""Lake of two nights as `./demo-lake`, the folder that `ut.open("demo-lake")` opens."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.small_lake import publish_night, utterance, write_segments

from data_contracts import lake as lakes

RUNS = ("20261119T030000Z-000001", "20261120T030000Z-000002")


@pytest.fixture(scope="session")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = lakes.open(str(tmp_path_factory.mktemp("face") / "demo-lake"))
    for run_id, day in zip(RUNS, (19, 20), strict=True):
        date = dt.date(2026, 11, day)
        publish_night(lake, run_id, [utterance(f"recording of {day}", date)])
        write_segments(lake, date, f"{day}")
    return Path(lake.uri)


@pytest.fixture
def demo_lake(_published: Path, tmp_path: Path) -> Path:
    """Copy in the working folder, to be read or written."""
    return Path(shutil.copytree(_published, tmp_path / "demo-lake"))
