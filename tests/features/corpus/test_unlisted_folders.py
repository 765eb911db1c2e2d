"""Folders and links that cannot be looked into: a row of rejects each, and their neighbours are listed."""

import datetime as dt
import os
from pathlib import Path

import boto3
import pytest
from helpers.faulty_s3 import Fault
from helpers.no_privileges import no_privileges

from data_contracts.errors import CorpusError
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from data_contracts.rejects import Reason
from features.corpus.filesystem import stat_object
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.corpus.objects import fetch, read_object

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)


@pytest.fixture
def root(tmp_path):
    for name in ("2026/11/21/a.wav", "2026/11/21/team/b.wav", "2026/11/22/c.wav"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_bytes(b"x")
    yield tmp_path / "corpus"
    for folder, *_ in os.walk(tmp_path):
        Path(folder).chmod(0o700)


def _list(root, dates=(DAY, OTHER), **options) -> dict[str, AudioObject]:
    found = list_objects(Corpus(str(root), **options), dates and list(dates))
    return {item.uri.removeprefix(f"{root}/"): item for item in found}


def _reason(item: AudioObject) -> Reason | None:
    found = fetch(item, read_object, RetryPolicy(5, 5))
    return getattr(found, "reason", None)


@pytest.mark.parametrize(
    ("folder", "mode", "found"),
    [
        ("2026/11/21/team", 0o000, ["2026/11/21/a.wav", "2026/11/21/team/", "2026/11/22/c.wav"]),
        ("2026/11/21/team", 0o300, ["2026/11/21/a.wav", "2026/11/21/team/", "2026/11/22/c.wav"]),
        ("2026/11/21/team", 0o400, ["2026/11/21/a.wav", "2026/11/21/team/b.wav", "2026/11/22/c.wav"]),
        ("2026/11/21", 0o000, ["2026/11/21/", "2026/11/22/c.wav"]),
    ],
)
@pytest.mark.parametrize("dates", [(DAY, OTHER), None])
def test_a_folder_that_may_not_be_read_is_a_reject(root, folder, mode, found, dates):
    """One such folder (`lost+found`, another team's) ended the run of every night."""
    (root / folder).chmod(mode)
    with no_privileges():
        listed = _list(root, dates)
        assert sorted(listed) == found
        assert {_reason(item) for item in listed.values()} == {Reason.ACCESS_DENIED, None}
    assert [item.date for item in listed.values()] == [*[DAY] * (len(found) - 1), OTHER]


def test_a_mended_folder_is_listed_and_its_reject_says_so(root):
    (root / "2026/11/21/team").chmod(0)
    with no_privileges():
        denied = _list(root)["2026/11/21/team/"]
        assert stat_object(denied.uri, DAY).etag == "folder"
        assert _reason(stat_object(denied.uri, DAY)) == Reason.ACCESS_DENIED
    (root / "2026/11/21/team").chmod(0o700)
    assert sorted(_list(root)) == ["2026/11/21/a.wav", "2026/11/21/team/b.wav", "2026/11/22/c.wav"]
    assert _reason(denied) == Reason.VANISHED
    assert _reason(stat_object(denied.uri, DAY)) == Reason.NOT_AUDIO


def test_a_root_that_may_not_be_read_ends_the_run(root):
    root.chmod(0)
    with no_privileges():
        for dates in ((DAY, OTHER), None):
            with pytest.raises(CorpusError, match="access denied"):
                _list(root, dates)


def test_links_to_themselves_are_rejects(root):
    (root / "2026/11/21/self").symlink_to("self")
    (root / "2026/11/21/one").symlink_to("other")
    (root / "2026/11/21/other").symlink_to("one")
    (root / "2026/11/21/up").symlink_to("..")  # its files are listed already
    listed = _list(root)
    loops = {"2026/11/21/self", "2026/11/21/one", "2026/11/21/other"}
    assert loops <= listed.keys()
    assert {name for name, item in listed.items() if _reason(item) == Reason.LOOP} == loops
    (root / "2026/11/21/self").unlink()
    (root / "2026/11/21/self").write_bytes(b"x")
    assert _list(root)["2026/11/21/self"].etag != listed["2026/11/21/self"].etag, "it is read when it is mended"


def test_a_denied_prefix_of_s3_is_a_reject(s3, faulty):
    for name in ("21/a.wav", "22/b.wav"):
        boto3.client("s3").put_object(Bucket=s3, Key=f"calls/2026/11/{name}", Body=b"x")
    faulty.do(Fault("answer", on=r"GET .*prefix=calls(%2F|/)2026(%2F|/)11(%2F|/)21"))
    listed = _list(f"s3://{s3}/calls", retry_policy=RetryPolicy(5, 5))
    assert [(name, item.date) for name, item in listed.items()] == [("2026/11/21/", DAY), ("2026/11/22/b.wav", OTHER)]
    assert [_reason(item) for item in listed.values()] == [Reason.ACCESS_DENIED, None]
    faulty.do(Fault("answer", on=r"GET .*prefix=calls"))
    with pytest.raises(CorpusError, match="access denied"):
        _list(f"s3://{s3}/calls", retry_policy=RetryPolicy(5, 5))
