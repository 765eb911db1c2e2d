"""Manifests in three formats list the same objects."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import boto3
import polars as pl
import pytest

from data_contracts.errors import CorpusError, UsageError
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 22)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("2026/11/21/a.wav", "2026/11/22/b.wav", "loose, é.wav"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"audio")
    return tmp_path / "corpus"


def _objects(manifest: Path | str, root: Path | str = "", dates=None):
    return list(list_objects(Corpus(str(root), manifest=str(manifest)), dates))


def _write(frame: pl.DataFrame, path: Path) -> Path:
    {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}[path.suffix[1:]](path)
    return path


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def suffix(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_format_gives_the_same_objects(root, tmp_path, suffix):
    frame = pl.DataFrame({"uri": [f"{root}/2026/11/21/a.wav", "2026/11/22/b.wav", "loose, é.wav"]})
    found = _objects(_write(frame, tmp_path / f"calls.{suffix}"), root)
    assert [item.uri for item in found] == [
        f"{root}/2026/11/21/a.wav",
        f"{root}/2026/11/22/b.wav",
        f"{root}/loose, é.wav",
    ]
    assert [item.date for item in found] == [DAY, OTHER, found[2].modified.date()]
    assert [item.attributes for item in found] == [None] * 3
    assert found[:2] == list(list_objects(Corpus(str(root)), [DAY, OTHER]))  # as if they had been listed


def test_further_columns_are_kept_as_attributes(root, tmp_path, suffix):
    frame = pl.DataFrame({"uri": ["2026/11/21/a.wav", "2026/11/22/b.wav"], "agent": ["Zoë", None], "line": ["7", None]})
    first, second = _objects(_write(frame, tmp_path / f"calls.{suffix}"), root)
    assert json.loads(first.attributes) == {"agent": "Zoë", "line": "7"}
    assert second.attributes is None


def test_channels_may_be_named(root, tmp_path, suffix):
    named = ["agent,customer", '["agent", "customer"]'] if suffix == "csv" else [["agent", "customer"], ["ada"]]
    frame = pl.DataFrame({"uri": ["2026/11/21/a.wav", "2026/11/22/b.wav"], "channel_names": named})
    found = _objects(_write(frame, tmp_path / f"calls.{suffix}"), root)
    assert [json.loads(item.attributes)["channel_names"] for item in found] == named


@pytest.mark.parametrize("value", [2, {"left": "agent"}, [1, 2], "[agent"])
def test_wrong_names_of_channels_name_the_row(root, tmp_path, value):
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps({"uri": "2026/11/22/b.wav", "channel_names": value}))
    with pytest.raises(CorpusError, match=r"row of .*2026/11/22/b\.wav: channel_names: expected names such as"):
        _objects(path, root)


def test_a_date_column_goes_before_the_path(root, tmp_path, suffix):
    dates = {"date": ["2026-12-01", "2026-12-02"]}
    path = _write(pl.DataFrame({"uri": ["2026/11/21/a.wav", "2026/11/22/b.wav"]} | dates), tmp_path / f"calls.{suffix}")
    assert [item.date for item in _objects(path, root)] == [dt.date(2026, 12, 1), dt.date(2026, 12, 2)]
    assert [item.uri[-5:] for item in _objects(path, root, [dt.date(2026, 12, 2)])] == ["b.wav"]
    assert _objects(path, root, [DAY]) == []


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us"), pl.Datetime("ms", "UTC")])
def test_a_date_column_may_hold_dates_or_times(root, tmp_path, kind):
    frame = pl.DataFrame({"uri": ["loose, é.wav"], "date": [dt.datetime(2026, 11, 21, 23, 59)]}).cast({"date": kind})
    assert [item.date for item in _objects(_write(frame, tmp_path / "calls.parquet"), root, [DAY])] == [DAY]


@pytest.mark.parametrize("date", [None, "", " "])
def test_a_row_without_a_date_takes_the_paths(root, tmp_path, suffix, date):
    """With dates asked for, such rows were once left out without a word."""
    frame = pl.DataFrame({"uri": ["2026/11/21/a.wav", "2026/11/22/b.wav"], "date": [date, "2026-11-22"]})
    path = _write(frame, tmp_path / f"calls.{suffix}")
    assert [item.date for item in _objects(path, root)] == [DAY, OTHER]
    assert [item.uri[-5:] for item in _objects(path, root, [DAY])] == ["a.wav"]


def test_dates_go_by_the_path_without_a_date_column(root, tmp_path):
    path = _write(pl.DataFrame({"uri": ["2026/11/21/a.wav", "2026/11/22/b.wav"]}), tmp_path / "calls.csv")
    assert [item.uri[-5:] for item in _objects(path, root, [OTHER])] == ["b.wav"]


ODD = [
    "new\nline.wav",
    "tab\t.wav",
    "a::b.wav",
    "%2F.wav",
    "a?versionId=b.wav",
    '"q"\'.wav',
    ",;#.wav",
    " a . ",
    "é.wav",
]


def test_odd_names_are_the_same_objects_as_in_a_listing(tmp_path, suffix):
    folder = tmp_path / "corpus/2026/11/21"
    folder.mkdir(parents=True)
    for name in ODD:
        (folder / name).write_bytes(name.encode())
    path = _write(pl.DataFrame({"uri": [f"2026/11/21/{name}" for name in ODD]}), tmp_path / f"calls.{suffix}")
    listed = list_objects(Corpus(str(tmp_path / "corpus")), [DAY])
    assert sorted(_objects(path, tmp_path / "corpus"), key=lambda item: item.uri) == list(listed)


def test_a_protocol_stands_at_the_beginning(s3, tmp_path):
    """`2026/11/21/http://a.wav` is a key below the root; it was once looked for on this machine's disk."""
    key = "2026/11/21/http://a.wav"
    boto3.client("s3").put_object(Bucket=s3, Key=key, Body=b"audio")
    (found,) = _objects(_write(pl.DataFrame({"uri": [key]}), tmp_path / "calls.csv"), f"s3://{s3}")
    assert (found.uri, found.bytes) == (f"s3://{s3}/{key}", 5)


def test_a_file_has_one_uri_however_it_is_written(root, tmp_path):
    spelled = [
        "./2026/11/21/a.wav",
        "2026//11/x/../21/a.wav",
        f"file://{root}/2026/11/21/a.wav",
        f"/{root}/./2026/11/21/a.wav",
    ]
    path = _write(pl.DataFrame({"uri": spelled}), tmp_path / "calls.csv")
    assert {item.uri for item in _objects(path, root)} == {f"{root}/2026/11/21/a.wav"}


def test_an_object_that_is_not_there_still_comes(root, tmp_path):
    path = _write(pl.DataFrame({"uri": ["2026/11/21/gone.wav", "2026/11/21/a.wav"]}), tmp_path / "calls.csv")
    gone, there = _objects(path, root, [DAY])
    assert (gone.uri, gone.etag, gone.bytes, gone.date) == (f"{root}/2026/11/21/gone.wav", "missing", 0, DAY)
    assert there.bytes == 5


def test_on_s3(s3, tmp_path):
    client = boto3.client("s3")
    for key in ("calls/2026/11/21/a::b c.wav", "calls/2026/11/22/b.wav"):
        client.put_object(Bucket=s3, Key=key, Body=b"audio")
    uris = "uri\n2026/11/21/a::b c.wav\n" + f"s3://{s3}/calls/2026/11/22/b.wav\n2026/11/22/gone.wav\n"
    client.put_object(Bucket=s3, Key="lists/calls.csv", Body=uris.encode())
    found = _objects(f"s3://{s3}/lists/calls.csv", f"s3://{s3}/calls")
    assert [item.etag == "missing" for item in found] == [False, False, True]
    listed = list(list_objects(Corpus(f"s3://{s3}/calls"), [DAY, OTHER]))
    whole = [replace(item, modified=item.modified.replace(microsecond=0)) for item in listed]  # a HEAD tells no more
    assert found[:2] == whole


def test_jsonl_may_change_its_mind_late(root, tmp_path):
    """Polars looks at a hundred lines: a column that came later was lost, another kind of value was an error."""
    rows = [{"uri": "loose, é.wav", "line": 1}] * 150 + [{"uri": "loose, é.wav", "line": "7a", "late": "yes"}]
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert json.loads(_objects(path, root)[-1].attributes) == {"late": "yes", "line": "7a"}


def test_more_rows_than_a_batch_holds_keep_their_order(root, tmp_path):
    frame = pl.DataFrame({"uri": ["loose, é.wav"] * 1_200, "n": list(map(str, range(1_200)))})
    found = _objects(_write(frame, tmp_path / "calls.csv"), root)
    assert [json.loads(item.attributes)["n"] for item in found] == list(map(str, range(1_200)))


def test_empty_lines_are_no_rows_and_a_row_without_uri_is_a_mistake(root, tmp_path):
    path = tmp_path / "calls.csv"
    path.write_text("uri,agent\n2026/11/21/a.wav,x\n\n,\n")
    assert len(_objects(path, root)) == 1
    path.write_text("uri,agent\n2026/11/21/a.wav,x\n,y\n")
    with pytest.raises(CorpusError, match=r"a row of the manifest has no uri: .*'agent': 'y'"):
        _objects(path, root)


def test_no_uri_column(tmp_path, suffix):
    path = _write(pl.DataFrame({"url": ["a"], "who": ["b"]}), tmp_path / f"calls.{suffix}")
    with pytest.raises(UsageError, match="expected a column `uri`; found url, who"):
        _objects(path)


def test_an_unknown_format_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match=r"expected \.parquet, \.csv or \.jsonl; found .*calls\.xlsx"):
        _objects(tmp_path / "calls.xlsx")


def test_a_manifest_that_cannot_be_read(tmp_path, suffix):
    path = tmp_path / f"calls.{suffix}"
    with pytest.raises(CorpusError, match=f"the manifest {path} cannot be read"):
        _objects(path)
    path.write_bytes(b"\x00\xff{{{not a table")
    with pytest.raises((CorpusError, UsageError), match=f"{path}"):
        _objects(path)
