"""Reading a lake by the public API: tables, feature sets and SQL, now and as of any run, local and on S3."""

import datetime as dt
import doctest
import pickle
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import undertone as ut
from flows.workers.embedded_s3 import upload
from undertone import _lake

RUNS = ("20261119T030000Z-000001", "20261120T030000Z-000002")


@pytest.mark.parametrize("module", [ut, _lake], ids=["undertone", "lake"])
def test_docstring_examples_run(demo_lake, module):
    found = doctest.testmod(module)
    assert found.attempted > 1
    assert not found.failed


@pytest.fixture(params=["local", "s3"])
def lake(request, demo_lake) -> ut.Lake:
    if request.param == "local":
        return ut.open(demo_lake)
    bucket = request.getfixturevalue("s3")
    upload(demo_lake, bucket, "lake/")
    return ut.open(f"s3://{bucket}/lake")


def test_a_table_is_a_lazy_frame_and_sql_gives_the_same_rows(lake):
    scanned = lake.scan("utterances")
    assert isinstance(scanned, pl.LazyFrame)
    answer = lake.sql("SELECT * FROM utterances ORDER BY recording_id")
    assert isinstance(answer, pl.DataFrame)
    assert_frame_equal(answer, scanned.sort("recording_id").collect(), check_column_order=False)


def test_every_name_of_tables_can_be_scanned_and_queried(lake):
    assert lake.tables() == ["utterances", "runs", "segments", "embeddings"]
    for name in lake.tables():
        n_rows = lake.scan(name).select(pl.len()).collect().item()
        assert n_rows == lake.sql(f"SELECT count(*) FROM {name}").item() > 0


def test_as_of_is_a_run_a_version_a_time_or_a_date(lake):
    finished = lake.scan("runs").filter(run_id=RUNS[0]).collect()["finished"].item()
    for as_of in (RUNS[0], 0, "0", finished, finished.isoformat()):
        assert lake.scan("utterances", as_of=as_of).collect()["recording_id"].to_list() == ["recording of 19"]
        assert lake.sql("SELECT count(*) FROM utterances", as_of=as_of).item() == 1
    assert lake.scan("utterances", as_of=dt.datetime.now(dt.UTC).date()).collect().height == 2
    with pytest.raises(ut.UsageError, match=r"expected a run that has published.*found 'Tuesday'"):
        lake.scan("utterances", as_of="Tuesday")


def test_rows_of_a_feature_set_carry_version_and_date(lake):
    segments = lake.scan("segments").filter(version="v1", date=dt.date(2026, 11, 20)).collect()
    assert segments["recording_id"].unique().to_list() == ["20"]


def test_a_missing_table_is_named_in_the_error(lake):
    with pytest.raises(ut.UsageError, match=r"expected one of utterances.*found 'uterances'"):
        lake.scan("uterances")
    with pytest.raises(ut.UsageError, match=r"rejects has nothing published by .*or before"):
        lake.scan("rejects")
    with pytest.raises(ut.UsageError, match="egemaps holds nothing yet; run `undertone backfill`"):
        lake.sql("FROM egemaps")
    with pytest.raises(ut.UndertoneError, match="syntax error"):
        lake.sql("SELEC 1")


def test_a_lake_can_be_pickled_and_its_repr_opens_it(lake):
    again = pickle.loads(pickle.dumps(lake))
    assert again.tables() == lake.tables()
    assert repr(again) == f"undertone.open({lake.uri!r})"


def test_an_empty_folder_is_a_lake_without_tables(tmp_path):
    lake = ut.open(tmp_path / "new")
    assert lake.tables() == []
    with pytest.raises(ut.UsageError, match="nothing published yet; run `undertone backfill`"):
        lake.scan("utterances")
    assert not Path(lake.uri).exists(), "reading makes nothing"


def test_without_a_root_the_settings_give_it(demo_lake, monkeypatch):
    with pytest.raises(ut.UsageError, match=r"Found none; give undertone.open\(DIR_OR_URL\) or set UNDERTONE_LAKE"):
        ut.open()
    monkeypatch.setenv("UNDERTONE_LAKE", "demo-lake")
    assert ut.open().uri == str(demo_lake)
    monkeypatch.delenv("UNDERTONE_LAKE")
    Path("undertone.toml").write_text(f'lake = "{demo_lake}"\n')
    assert ut.open().uri == str(demo_lake)
    assert ut.open("elsewhere").uri == str(demo_lake.with_name("elsewhere"))


def test_a_root_that_cannot_be_a_lake_is_refused(monkeypatch):
    with pytest.raises(ut.UsageError, match=r"must be a folder or an s3://.*found 'https://example.org/lake'"):
        ut.open("https://example.org/lake")
    monkeypatch.setenv("UNDERTONE_STORE_TIMEOUT_S", "never")
    with pytest.raises(ut.UsageError, match=r"store_timeout_s: .*found 'never'"):
        ut.open("demo-lake")
