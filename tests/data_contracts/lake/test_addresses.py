"""Addresses of lakes: accepted and refused folders and URLs."""

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts import lake as lakes
from data_contracts.errors import UsageError


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


@pytest.mark.parametrize("name", ["a lake", "é", "[1]", "%20", "x#y", "q?z"])
def test_an_address_that_delta_and_polars_spell_differently_is_refused(tmp_path, name):
    """The first night went well, and nothing could read its tables: `a lake` had become `a%20lake`."""
    for uri in (str(tmp_path / name), f"s3://bucket/{name}"):
        with pytest.raises(UsageError, match="the lake's address may hold ASCII letters"):
            lakes.open(uri)


def test_an_address_may_hold_the_characters_of_the_message(tmp_path):
    lake = lakes.open(str(tmp_path / "aZ9._-+=@,~"))
    write_deltalake(lake.uri_of("analytics", "runs"), pa.table({"run_id": ["a"]}))
    assert lake.scan("runs").collect().height == 1
