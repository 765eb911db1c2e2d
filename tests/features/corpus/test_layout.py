"""Listing: every object of the dates, by any layout, with any name; and clear errors."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from helpers.raw_keys import put_as_named

from data_contracts.errors import UsageError
from features.corpus.filesystem import stat_object
from features.corpus.layout import DEFAULT_LAYOUT, Corpus, date_in_path
from features.corpus.listing import list_objects
from features.extraction.prefetch import read_object

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
ODD = [
    "a b.wav",
    "é ü 声.wav",
    "a%2Fb.wav",
    "a+b=c&d.wav",
    "x#y?z.wav",
    "[q]*.wav",
    "a::b.wav",
    "a\\b.wav",
    "a'b\".wav",
]


def _put(bucket: str, *keys: str, body: bytes = b"x") -> None:
    client = boto3.client("s3")
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=body)


def _write(root: Path, *names: str, body: bytes = b"x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _touch(path: Path, day: dt.date) -> None:
    stamp = dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp()
    os.utime(path, (stamp, stamp))


def _names(corpus: Corpus, *dates: dt.date) -> list[str]:
    return [item.uri.removeprefix(f"{corpus.root}/") for item in list_objects(corpus, list(dates) or None)]


@pytest.fixture(params=["folder", "s3"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Corpus:
    """Two nights, with what is no recording beside them."""
    names = [
        "2026/11/21/b.wav",
        "2026/11/21/a.wav",
        "2026/11/21/team/c.wav",
        "2026/11/22/d.wav",
        "2026/11/21/.hidden.wav",
        "2026/11/21/.trash/e.wav",
        "2026/11/211/f.wav",
    ]
    if request.param == "folder":
        _write(tmp_path / "corpus", *names)
        (tmp_path / "corpus/2026/11/21/empty").mkdir()
        return Corpus(str(tmp_path / "corpus"))
    bucket = request.getfixturevalue("s3")
    _put(bucket, *(f"calls/{name}" for name in names), "calls/2026/11/21/", "calls/2026/11/21/empty/")
    return Corpus(f"s3://{bucket}/calls")


def test_a_date_lists_its_folder(corpus):
    """On S3 hidden files were once listed, and in a folder not."""
    assert _names(corpus, DAY) == ["2026/11/21/a.wav", "2026/11/21/b.wav", "2026/11/21/team/c.wav"]
    assert _names(corpus, OTHER, DAY)[0] == "2026/11/22/d.wav"
    assert _names(corpus, dt.date(2026, 11, 23)) == []


def test_an_object_says_where_when_and_how_large(corpus):
    item = next(iter(list_objects(corpus, [DAY])))
    assert item.uri == f"{corpus.root}/2026/11/21/a.wav"
    assert (item.bytes, item.date, item.tries, item.attributes) == (1, DAY, 0, None)
    assert item.etag
    assert '"' not in item.etag
    assert item.modified.utcoffset() == dt.timedelta(0)


def test_without_dates_everything_is_listed_with_the_date_in_its_path(corpus):
    found = {item.uri.removeprefix(f"{corpus.root}/"): item for item in list_objects(corpus, None)}
    assert len(found) == 5
    assert {name: found[name].date for name in found if "211" not in name} == {
        "2026/11/21/a.wav": DAY,
        "2026/11/21/b.wav": DAY,
        "2026/11/21/team/c.wav": DAY,
        "2026/11/22/d.wav": OTHER,
    }
    astray = found["2026/11/211/f.wav"]  # no date: the day of its last modification
    assert astray.date == astray.modified.date()


def test_listing_with_and_without_dates_gives_the_same_objects(corpus):
    everything = {item.uri: item for item in list_objects(corpus, None)}
    for item in list_objects(corpus, [DAY, OTHER]):
        assert everything[item.uri] == item


def test_a_root_may_end_in_a_slash(corpus):
    assert list(list_objects(Corpus(f"{corpus.root}/"), [DAY])) == list(list_objects(corpus, [DAY]))
    assert list(list_objects(Corpus(f"{corpus.root}/"), None)) == list(list_objects(corpus, None))


def test_s3a_is_s3(s3):
    _put(s3, "2026/11/21/a.wav")
    assert [(item.uri, item.date) for item in list_objects(Corpus(f"s3a://{s3}"), None)] == [
        (f"s3://{s3}/2026/11/21/a.wav", DAY)
    ]


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("{root}/{date:%Y%m%d}", "20261121/a.wav"),
        ("{root}/{date}/", "2026-11-21/a.wav"),
        ("{root}/calls/{date:%d.%m.%Y}/raw", "calls/21.11.2026/raw/a.wav"),
        ("{root}/year={date:%Y}/month={date:%m}/day={date:%d}/", "year=2026/month=11/day=21/a.wav"),
        ("{root}/{date:%Y}/{date:%Y-%m-%d}/", "2026/2026-11-21/a.wav"),
    ],
)
def test_other_layouts(tmp_path, layout, name):
    """Once only the first field of a date was read back: such files got the day they were copied."""
    _write(tmp_path / "corpus", name, "2026/20261122/b.wav")
    corpus = Corpus(str(tmp_path / "corpus"), layout)
    assert _names(corpus, DAY) == [name]
    assert {item.date for item in list_objects(corpus, None) if item.uri.endswith("a.wav")} == {DAY}


@pytest.mark.parametrize(
    "layout",
    [
        "",
        "{root}/",
        "{root}/2026",
        "{root}/{date:%Y-%m}/",  # a month's folder would be listed thirty times
        "{root}/{date:%Y/%m/%d/%H}/",
        "{root}/{date:%j}/",
        "{root}/{region}/{date:%Y/%m/%d}/",
        "{root}/{}/{date:%Y/%m/%d}/",
        "{root}/{date:%Y/%m/%d",
        "{root}/{date.year}/{date:%m/%d}/",
        "Modified",
    ],
)
def test_a_layout_that_does_not_say_the_day_is_refused(layout):
    with pytest.raises(UsageError, match="layout: expected a template of folders") as caught:
        Corpus("s3://corpus", layout)
    assert repr(layout) in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "date"),
    [
        ("s3://calls/2026/11/21/a.flac", DAY),
        ("s3://calls/2026/11/21/2027/01/01/a.flac", DAY),
        ("s3://calls/2026/13/21/a.flac", None),
        ("s3://calls/2026/02/30/a.flac", None),
        ("s3://calls/2026/11/21a/a.flac", None),
        ("s3://other/2026/11/21/a.flac", None),
        ("s3://calls/a.flac", None),
    ],
)
def test_the_date_in_a_path(uri, date):
    assert date_in_path(uri, DEFAULT_LAYOUT, "s3://calls") == date
    assert date_in_path(uri, "modified", "s3://calls") is None


def test_modified_goes_by_the_day_of_the_last_change(tmp_path):
    root = tmp_path / "corpus"
    _write(root, "a.wav", "deep/er/b.wav", "c.wav")
    _touch(root / "a.wav", DAY)
    _touch(root / "deep/er/b.wav", DAY)
    _touch(root / "c.wav", OTHER)
    corpus = Corpus(str(root), "modified")
    assert _names(corpus, DAY) == ["a.wav", "deep/er/b.wav"]
    assert [(item.uri[-5:], item.date) for item in list_objects(corpus, [OTHER])] == [("c.wav", OTHER)]
    assert len(_names(corpus)) == 3


def test_modified_on_s3(s3):
    _put(s3, "a.wav", "2020/01/01/b.wav")
    corpus = Corpus(f"s3://{s3}", "modified")
    days = {item.date for item in list_objects(corpus, None)}
    assert _names(corpus, *days) == ["2020/01/01/b.wav", "a.wav"]
    assert _names(corpus, dt.date(2020, 1, 1)) == []


def test_more_objects_than_a_page_holds(s3):
    n = 1_005
    put_as_named(s3, {f"calls/2026/11/21/{i:05}.wav": b"x" for i in range(n)})
    found = list(list_objects(Corpus(f"s3://{s3}/calls"), [DAY]))
    assert [item.uri for item in found] == [f"s3://{s3}/calls/2026/11/21/{i:05}.wav" for i in range(n)]


def test_odd_names_are_listed_and_read_on_s3(s3):
    """`a::b.wav` is a chain of URLs to fsspec: reading it ended the run."""
    _put(s3, *(f"2026/11/21/{name}" for name in ODD))
    found = list(list_objects(Corpus(f"s3://{s3}"), [DAY]))
    assert {item.uri for item in found} == {f"s3://{s3}/2026/11/21/{name}" for name in ODD}
    assert [read_object(item.uri) for item in found] == [b"x"] * len(ODD)


def test_odd_names_are_listed_and_read_in_a_folder(tmp_path):
    odd = [*ODD, "new\nline.wav", "~.wav", "s3:.wav"]
    _write(tmp_path / "a b::c", *(f"2026/11/21/{name}" for name in odd))
    corpus = Corpus(str(tmp_path / "a b::c"))
    for found in (list(list_objects(corpus, [DAY])), list(list_objects(corpus, None))):
        assert {item.uri for item in found} == {f"{corpus.root}/2026/11/21/{name}" for name in odd}
        assert [read_object(item.uri) for item in found] == [b"x"] * len(odd)
        assert {item.date for item in found} == {DAY}


def test_a_name_that_is_not_utf_8_is_escaped_and_read(tmp_path):
    """A corpus that came from an old machine: such a name is no text, and ended the run when it was written down."""
    _write(tmp_path, "2026/11/21/caf\udce9.wav", body=b"raw")
    _write(tmp_path, "2026/11/21/cave\\xe9.wav", body=b"very name")
    found = list(list_objects(Corpus(str(tmp_path)), [DAY]))
    assert [item.uri.rsplit("/")[-1] for item in found] == ["caf\\xe9.wav", "cave\\xe9.wav"]
    assert [read_object(item.uri) for item in found] == [b"raw", b"very name"]
    with pytest.raises(FileNotFoundError):
        read_object(f"{tmp_path}/2026/11/21/gone\\xe9.wav")


def test_a_key_is_a_string_and_no_path(s3):
    """Parts `.` and `..` were taken for hidden files; of `a?versionId=b` another object was read."""
    keys = ["../a", "./a", "/a", "a", "a?versionId=1", "b/../.hidden", "..hidden/a"]
    put_as_named(s3, {f"2026/11/21/{key}": key.encode() for key in keys})
    found = list(list_objects(Corpus(f"s3://{s3}"), [DAY]))
    names = [item.uri.removeprefix(f"s3://{s3}/2026/11/21/") for item in found]
    assert sorted(names) == sorted(keys[:5])
    assert [read_object(item.uri).decode() for item in found] == names
    listed = [replace(item, modified=item.modified.replace(microsecond=0)) for item in found]  # some list milliseconds
    assert [stat_object(item.uri, DAY) for item in found] == listed


def test_a_changed_file_has_another_etag(tmp_path):
    path = tmp_path / "2026/11/21/a.wav"
    _write(tmp_path, "2026/11/21/a.wav", body=b"one")
    _touch(path, DAY)

    def etag() -> str:
        return next(iter(list_objects(Corpus(str(tmp_path)), [DAY]))).etag

    first = etag()
    assert etag() == first
    path.write_bytes(b"longer")
    _touch(path, DAY)
    assert etag() != first  # by its size
    path.write_bytes(b"two")
    _touch(path, OTHER)
    assert etag() != first  # by its time


def test_links_are_followed_and_circles_are_not(tmp_path):
    """A linked folder was once listed as one object, and a pipe would have been waited for."""
    _write(tmp_path / "elsewhere", "a.wav")
    day = tmp_path / "corpus/2026/11/21"
    day.mkdir(parents=True)
    (day / "linked").symlink_to(tmp_path / "elsewhere")
    (day / "one.wav").symlink_to(tmp_path / "elsewhere/a.wav")
    (day / "nowhere.wav").symlink_to(tmp_path / "gone.wav")
    (day / "circle").symlink_to(tmp_path / "corpus")
    os.mkfifo(day / "pipe.wav")
    names = _names(Corpus(str(tmp_path / "corpus")), DAY)
    assert sorted(name.removeprefix("2026/11/21/") for name in names) == [
        "linked/a.wav",
        "nowhere.wav",
        "one.wav",
    ]


def test_the_sample_is_listed(sample):
    dates = [dt.date(2026, 11, day) for day in (19, 20, 21)]
    found = list(list_objects(Corpus(str(sample)), dates))
    assert len(found) == 34
    assert found == list(list_objects(Corpus(str(sample)), None))
