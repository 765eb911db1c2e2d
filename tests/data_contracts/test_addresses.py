"""Addresses: one spelling of a place, and questions for what looks like a URL and is none."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.addresses import is_url, normal_path, normal_uri, normalize
from data_contracts.errors import UsageError

PARTS = st.lists(st.sampled_from(["a", "b", "link", "..", ".", "", "c d", "é"]), max_size=6)


@pytest.mark.parametrize(
    "spelling",
    [
        *("corpus", "./corpus", "x/../corpus", "corpus/", "corpus/.", " corpus \r\n", "~/corpus"),
        *("{0}/corpus", "{0}//corpus", "/{0}/corpus/./x/.."),
        *("file://{0}/corpus", "file:///{0}/corpus/", "file:{0}/corpus", "FILE://localhost{0}/x/../corpus"),
    ],
)
def test_a_folder_has_one_spelling(tmp_path, monkeypatch, spelling):
    """The same corpus by another spelling was read again, and its recordings stood twice."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert normalize(spelling.format(tmp_path)) == f"{tmp_path}/corpus"


@given(PARTS)
def test_the_one_spelling_of_a_path_leads_to_the_same_place(parts):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / "a" / "b").mkdir(parents=True)
        (root / "b").mkdir()
        (root / "link").symlink_to(root / "a" / "b")
        spelling = "/".join((str(root), *parts))
        found = normal_path(spelling)
        assert normal_path(found) == found
        assert not Path(spelling).exists() or Path(spelling).samefile(found)
        if ".." not in parts:
            assert found == os.path.normpath(spelling)  # a link is kept: what stands in lakes stays as it is


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("S3://Bucket/Key/", "s3://Bucket/Key"),
        (" s3://bucket/a/../b//c \r\n", "s3://bucket/a/../b//c"),
        ("s3a://b", "s3a://b"),
        ("GS://b//", "gs://b"),
    ],
)
def test_a_url_keeps_its_key(written, url):
    assert normalize(written) == url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3:/bucket/prefix", "s3://bucket/prefix"),
        ("S3:/bucket", "s3://bucket"),
        ("s3:bucket/prefix", "s3://bucket/prefix"),
        ("s3//bucket", "s3://bucket"),
        ("s3:", "s3://bucket/prefix"),
        ("s3://", "s3://bucket/prefix"),
        ("s3:///bucket", "s3://bucket"),
        (r"s3:\\bucket\prefix", "s3://bucket/prefix"),
        ("://bucket", "s3://bucket"),
        ("gs:/bucket", "gs://bucket"),
        ("https:/host/x", "https://host/x"),
        ("calls:/x", "calls://x"),
        ("file://", "file:///folder"),
        ("file://data/calls", "file:///data/calls"),
    ],
)
def test_what_looks_like_a_url_and_is_none_is_asked_about(written, meant):
    """`s3:/bucket/prefix` was a folder named `s3:`, and `doctor` called it ok."""
    with pytest.raises(UsageError, match=rf"did you mean {meant}\?"):
        normalize(written)


@pytest.mark.parametrize("written", [r"C:\calls", "c:/calls", r"\\server\share"])
def test_a_path_of_windows_is_told_from_a_folder(written):
    with pytest.raises(UsageError, match="found a path of Windows"):
        normalize(written)


@pytest.mark.parametrize("name", ["2026-11-21T10:00", "calls:old", "./s3:/bucket", "s3", "file", "a b ", r"back\slash"])
def test_other_names_are_folders(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    assert normalize(name) == f"{tmp_path}/{name.removeprefix('./')}"


def test_a_home_of_nobody_is_no_folder_of_that_name():
    with pytest.raises(UsageError, match="expected the home of a user"):
        normalize("~nobody-of-that-name/calls")


def test_uris_of_programs_are_never_asked_about():
    assert normal_uri("S3://calls/./a b ") == "s3://calls/./a b "
    assert normal_uri("file:///calls//x/../a.flac") == "/calls/a.flac"
    assert normal_uri("calls/./a") == "calls/./a"


def test_urls():
    assert all(map(is_url, ("s3://a", "S3://a", "abfs://a", "git+ssh://a")))
    assert not any(map(is_url, ("a", "/a", "a/s3://b", "://a", "7z://a", "s3:/a", "ä://b")))
