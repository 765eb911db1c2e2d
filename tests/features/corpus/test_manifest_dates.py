"""Dates of a manifest: the year first in any form; others are errors; the undated are dated alike every time."""

import datetime as dt
import json
from pathlib import Path

import boto3
import polars as pl
import pytest

from data_contracts.errors import CorpusError
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.rejects import Reason
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.corpus.objects import fetch, read_object

DAY, NEXT = dt.date(2026, 11, 21), dt.date(2026, 11, 22)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/flat.wav").write_bytes(b"x")
    return tmp_path / "corpus"


def _list(manifest: Path, root: Path | str, dates=None):
    return list(list_objects(Corpus(str(root), manifest=str(manifest)), dates))


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-21", "2026/11/21", "2026.11.21", "20261121", " 2026-11-21 ", "20261121.0"),
        *("2026-11-21T23:30:00-05:00", "2026-11-21 00:30:00+02:00", "20261121T103000Z"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_date_begins_with_the_year(root, tmp_path, text, suffix):
    frame = pl.DataFrame({"uri": ["flat.wav"], "date": [text]})
    path = tmp_path / f"calls.{suffix}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](path)
    assert [item.date for item in _list(path, root, [DAY])] == [DAY]


@pytest.mark.parametrize("value", [20261121, 20261121.0])
def test_a_date_may_be_a_number(root, tmp_path, value):
    (tmp_path / "calls.jsonl").write_text(json.dumps({"uri": "flat.wav", "date": value}))
    assert [item.date for item in _list(tmp_path / "calls.jsonl", root, [DAY])] == [DAY]


def test_a_time_with_a_zone_is_of_the_day_that_is_written(root, tmp_path):
    late = dt.datetime(2026, 11, 22, 3, 30, tzinfo=dt.UTC)
    kind = pl.Datetime("us", "America/New_York")
    pl.DataFrame({"uri": ["flat.wav"], "date": [late]}).cast({"date": kind}).write_parquet(tmp_path / "calls.parquet")
    assert [item.date for item in _list(tmp_path / "calls.parquet", root, [DAY])] == [DAY]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("21.11.2026", "day and month cannot be told apart"),
        ("11/21/2026", "day and month cannot be told apart"),
        ("21-11-26", "day and month cannot be told apart"),
        ("46347", "a spreadsheet's number for 2026-11-21"),
        ("46347.4375", "a spreadsheet's number for 2026-11-21"),
        ("1795257000", "perhaps a time since 1970"),
        ("1712120100000", "perhaps a time since 1970"),
        ("2026-13-45", "found '2026-13-45', and 1 more"),
        ("20261345", "found '20261345', and 1 more"),
        ("2026-11", "found '2026-11', and 1 more"),
        ("yesterday", "found 'yesterday', and 1 more"),
        ("21 Nov 2026", "found '21 Nov 2026', and 1 more"),
    ],
)
@pytest.mark.parametrize("dates", [[NEXT], None])
def test_another_date_is_an_error_that_names_the_row(root, tmp_path, text, words, dates):
    """Such rows were none of any night's, without a word, and a backfill dated them by their modification."""
    good = "flat.wav,2026-11-21\n" * 1_200
    (tmp_path / "calls.csv").write_text(f"uri,date\n{good}calls/x.wav,{text}\nflat.wav,\ncalls/y.wav,{text}\n")
    with pytest.raises(CorpusError, match=r"calls\.csv, row 1201 \(calls/x\.wav\): expected a date such as") as caught:
        _list(tmp_path / "calls.csv", root, dates)
    assert words in str(caught.value)
    assert "and 1 more such" in str(caught.value)


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_a_missing_file_and_a_folder_are_dated_by_manifest_path_or_run(root, tmp_path, request, where):
    """They stood under 1970-01-01, or today."""
    base: Path | str = root
    if where == "s3":
        bucket = request.getfixturevalue("s3")
        for folder in ("folder", "2026/11/21/folder"):
            boto3.client("s3").put_object(Bucket=bucket, Key=f"calls/{folder}/a.wav", Body=b"x")
        base = f"s3://{bucket}/calls"
    else:
        for folder in ("folder", "2026/11/21/folder"):
            (root / folder).mkdir(parents=True)
    names = ["gone.wav", "folder", "2026/11/21/gone.wav", "2026/11/21/folder"]
    dated = [f"{name},2026-11-20" for name in names]
    (tmp_path / "calls.csv").write_text("\n".join(["uri,date", *dated, *(f"{name}," for name in names)]))
    dates = [NEXT, DAY, dt.date(2026, 11, 20)]
    found = _list(tmp_path / "calls.csv", base, dates)
    assert [item.date for item in found] == [*[dt.date(2026, 11, 20)] * 4, NEXT, NEXT, DAY, DAY]
    assert [item.date for item in _list(tmp_path / "calls.csv", base, [NEXT])] == [NEXT, NEXT]
    today = dt.datetime.now(dt.UTC).date()
    assert {item.date for item in _list(tmp_path / "calls.csv", base)[4:6]} <= {today, today + dt.timedelta(1)}
    reasons = [fetch(item, read_object, RetryPolicy(5, 5)).reason for item in found[:4]]
    assert reasons == [Reason.VANISHED, Reason.NOT_AUDIO] * 2
