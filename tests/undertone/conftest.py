"""A lake of two nights in the folder of the moment, as `ut.open("demo-lake")` finds it."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.small_lake import publish_night, utterance, write_segments

from data_contracts import lake as lakes

RUNS = ("20261119T030000Z-000001", "20261120T030000Z-000002")


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = lakes.open(str(tmp_path_factory.mktemp("face") / "demo-lake"))
    for run_id, day in zip(RUNS, (19, 20), strict=True):
        date = dt.date(2026, 11, day)
        publish_night(lake, run_id, [utterance(f"recording of {day}", date)])
        write_segments(lake, date, f"{day}")
    return Path(lake.uri)


@pytest.fixture
def demo_lake(_made: Path, tmp_path: Path) -> Path:
    """A copy in the working folder, to be read or written."""
    return Path(shutil.copytree(_made, tmp_path / "demo-lake"))
