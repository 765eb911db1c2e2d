"""Fetched objects: in memory while small, else in a temporary file that is removed."""

import datetime as dt
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import boto3
import pytest
from helpers.small_disk import small_disk

from data_contracts.errors import ComputeError
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from data_contracts.rejects import Reason, Reject
from features.corpus import objects
from features.corpus.filesystem import stat_object
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.corpus.object_cache import fetch_shared
from features.corpus.objects import FetchedObject, fetch, read_object

DAY = dt.date(2026, 11, 21)
DATA = bytes(range(256)) * 40
HASTE = RetryPolicy(total_s=2.0, timeout_s=1.0)


def _item(uri: str) -> AudioObject:
    return stat_object(uri, DAY)


@contextmanager
def fetched(item: AudioObject) -> Iterator[FetchedObject | Reject]:
    found = fetch(item, partial(read_object, retry_policy=HASTE), HASTE)
    yield found
    if isinstance(found, FetchedObject):
        found.close()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(objects, "LARGE_BYTES", 1_000)
    monkeypatch.setattr(objects, "_CHUNK_BYTES", 700)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


def _recording_id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def test_a_small_object_is_held_in_memory(tmp_path):
    (tmp_path / "a").write_bytes(DATA[:900])
    with fetched(_item(str(tmp_path / "a"))) as found:
        assert found == FetchedObject(DATA[:900], _recording_id(DATA[:900]))


def test_a_large_file_is_read_where_it_lies(tmp_path):
    (tmp_path / "a").write_bytes(DATA)
    with fetched(_item(str(tmp_path / "a"))) as found:
        assert found == FetchedObject(tmp_path / "a", _recording_id(DATA))
    assert (tmp_path / "a").exists()


def test_a_large_object_of_a_store_is_copied_and_the_copy_goes(s3, tmp_path):
    boto3.client("s3").put_object(Bucket=s3, Key="2026/11/21/a b.m4a", Body=DATA)
    with fetched(_item(f"s3://{s3}/2026/11/21/a b.m4a")) as found:
        assert isinstance(found, FetchedObject)
        assert isinstance(found.content, Path)
        assert (found.content.read_bytes(), found.sha256) == (DATA, _recording_id(DATA))
        assert list((tmp_path / "temporary").iterdir()) == [found.content]
    assert not list((tmp_path / "temporary").iterdir())


def test_no_room_for_a_copy_is_no_fault_of_the_file(s3, tmp_path, monkeypatch):
    """It must not be rejected, and three full disks must not wear it out."""
    boto3.client("s3").put_object(Bucket=s3, Key="a", Body=DATA)
    with small_disk(tmp_path / "disk", 4096) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.outside))
        with (
            pytest.raises(ComputeError, match=r"No space left.*make room, or set TMPDIR"),
            fetched(_item(f"s3://{s3}/a")),
        ):
            pass
        assert not list(disk.outside.iterdir())


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_a_large_object_that_is_gone_or_another_leaves_nothing(request, tmp_path, where):
    if where == "s3":
        bucket = request.getfixturevalue("s3")
        boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=DATA)
        uri = f"s3://{bucket}/"
    else:
        (tmp_path / "a").write_bytes(DATA)
        uri = f"{tmp_path}/"
    there = _item(f"{uri}a")
    for item in (replace(there, bytes=len(DATA) + 1), replace(there, etag="e"), replace(there, uri=f"{uri}none")):
        with fetched(item) as found:
            assert isinstance(found, Reject)
            assert found.reason is Reason.VANISHED
    assert not list((tmp_path / "temporary").iterdir())


def test_a_shared_object_is_copied_once_and_evicted_by_the_next(s3, tmp_path, monkeypatch):
    for key in ("a", "b"):
        boto3.client("s3").put_object(Bucket=s3, Key=key, Body=DATA)
    copies = []
    copy = objects._copy
    monkeypatch.setattr(objects, "_copy", lambda fs, path, item: copies.append(path) or copy(fs, path, item))
    with fetch_shared(_item(f"s3://{s3}/a")) as first:
        pass
    with fetch_shared(_item(f"s3://{s3}/a")) as again:
        assert again == first
        with fetch_shared(_item(f"s3://{s3}/b")) as other:
            assert again.content.read_bytes() == other.content.read_bytes() == DATA  # still in use
    with fetch_shared(_item(f"s3://{s3}/b")):
        assert len(copies) == 2
    with fetch_shared(replace(_item(f"s3://{s3}/b"), uri=f"s3://{s3}/c")) as missing:
        assert missing.reason is Reason.VANISHED
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
@pytest.mark.parametrize("n_bytes", [900, 10_000])
def test_an_archived_object_is_rejected_until_it_is_restored(s3, storage_class, n_bytes):
    """It was `access_denied`, "grant this run read access"."""
    client, place = boto3.client("s3"), {"Bucket": s3, "Key": "a.wav"}
    client.put_object(**place, Body=DATA[:n_bytes], StorageClass=storage_class)
    item = next(iter(list_objects(Corpus(f"s3://{s3}", "modified"), None)))
    with fetched(item) as found:
        assert isinstance(found, Reject)
        assert found.reason == Reason.ARCHIVED
        assert "restore it from the archive" in found.error
    client.restore_object(**place, RestoreRequest={"Days": 1})
    with fetched(item) as found:
        assert isinstance(found, FetchedObject)
        assert found.sha256 == _recording_id(DATA[:n_bytes])
