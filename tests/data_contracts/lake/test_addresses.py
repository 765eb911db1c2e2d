"""Addresses of lakes: accepted and refused folders and URLs."""

import datetime as dt

import polars as pl
import pytest
from deltalake import write_deltalake

from data_contracts import lake as lakes
from data_contracts.errors import UsageError
from flows.analytics.sql import query


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file://{}/", "{}/x/..", "/{}/."])
def test_a_folder_may_be_written_in_many_ways(tmp_path, form):
    lake = lakes.open(form.format(tmp_path / "lake"))
    assert lake.is_local
    assert lake.uri == str(tmp_path / "lake")
    assert lake.uri_of("a", "b") == str(tmp_path / "lake" / "a" / "b")


def test_a_relative_folder_becomes_absolute(tmp_path):
    assert lakes.open("lake").uri == str(tmp_path / "lake")  # workers start elsewhere


@pytest.mark.parametrize("uri", ["s3:/bucket/lake", "s3//bucket/lake", "s3:///bucket"])
def test_what_looks_like_a_url_and_is_none_is_refused(uri):
    with pytest.raises(UsageError, match="did you mean s3://bucket"):
        lakes.open(uri)


@pytest.mark.parametrize("uri", ["s3://bucket//lake", "s3://bucket/../lake", "s3://bucket/./lake"])
def test_a_key_that_delta_and_s3fs_spell_differently_is_refused(uri):
    with pytest.raises(UsageError, match=r"may not hold //, \. or \.\."):
        lakes.open(uri)


def test_a_protocol_may_be_written_large(s3):
    assert lakes.open(f"S3://{s3}/lake/").uri == f"s3://{s3}/lake"


@pytest.mark.parametrize("uri", ["http://host/lake", "ftp://host/lake", "memory://lake"])
def test_a_protocol_that_delta_cannot_write_is_refused(uri):
    with pytest.raises(UsageError, match=r"expected|must be a folder.*UNDERTONE_LAKE"):
        lakes.open(uri)


@pytest.mark.parametrize("name", ["[1]", "*", "q?z", "%20", "x#y", "a=b", "a|b", "back\\slash", "new\nline", "\udce9"])
def test_a_folder_that_delta_and_polars_spell_differently_is_refused(tmp_path, name):
    for uri in (str(tmp_path / name), f"s3://bucket/{name}"):
        with pytest.raises(UsageError, match=r"found '.*' in .*give it another name"):
            lakes.open(uri)


@pytest.mark.parametrize("name", ["a lake", "é"])
def test_a_url_is_of_ascii_letters(name):
    with pytest.raises(UsageError, match="the lake must be a URL of ASCII letters"):
        lakes.open(f"s3://bucket/{name}")


@pytest.mark.parametrize("name", ["aZ9._-+@,~", "My Projects", "ü é 日本 😀", "a::b", "{x} $(y) 'z' \"q\" <&;!>"])
def test_a_lake_lies_in_a_folder_of_any_other_name(tmp_path, name):
    """The first night went well, and nothing could read its tables: `My Projects` had become `My%20Projects`."""
    lake = lakes.open(str(tmp_path / name / "lake"))
    rows = pl.DataFrame({"recording_id": ["a", "b"], "date": [dt.date(2026, 11, 21), dt.date(2026, 11, 22)]})
    write_deltalake(lake.uri_of("analytics", "utterances"), rows.to_arrow(), partition_by=["date"])
    newest = lake.delta("utterances")
    newest.merge(
        rows.to_arrow(), "t.recording_id = s.recording_id", source_alias="s", target_alias="t"
    ).when_matched_delete("s.recording_id = 'b'").execute()
    assert lake.scan("utterances").collect().to_dicts() == rows[:1].to_dicts()
    one_day = lake.scan("utterances").filter(pl.col("date") == dt.date(2026, 11, 21))
    assert one_day.collect().height == query(lake, "FROM utterances WHERE date = '2026-11-21'").num_rows == 1
    lake.write_parquet(
        "features/egemaps/version=1/date=2026-11-21/0123456789abcdef.parquet", rows.select("recording_id").to_arrow()
    )
    assert lake.scan("egemaps").collect().height == query(lake, "FROM egemaps").num_rows == 2
    assert set(lake.sizes("features")) == {"features/egemaps/version=1/date=2026-11-21/0123456789abcdef.parquet"}
