"""Manifests as spreadsheets save them: read where the form can be told, else an error that names it."""

import unicodedata
from pathlib import Path

import boto3
import pytest

from data_contracts.errors import CorpusError, UsageError
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects

TEXT = "uri,date,agent\n2026/11/21/José.wav,2026-11-21,Zoë\n2026/11/22/b.wav,,\n"
NAMES = ["2026/11/21/José.wav", "2026/11/22/b.wav"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_bytes(b"x")
    return tmp_path / "corpus"


def _listed(manifest: Path | str, root: Path | str) -> list[str]:
    found = list_objects(Corpus(str(root), manifest=str(manifest)), None)
    return [item.uri.removeprefix(f"{root}/") for item in found if item.etag != "missing"]


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode("utf-16"),
        TEXT.replace(",", "|").replace("\n", "\r\n").encode(),
        b"sep=;\r\n" + TEXT.replace(",", ";").encode(),
        TEXT.replace(",", " , ", 1).encode(),
        TEXT.replace("/", "\\").encode(),
        unicodedata.normalize("NFD", TEXT).encode(),
    ],
)
def test_a_csv_of_a_spreadsheet_is_read(root, tmp_path, data):
    (tmp_path / "calls.csv").write_bytes(data)
    assert _listed(tmp_path / "calls.csv", root) == NAMES


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_jsonl_of_a_windows_shell_is_read(root, tmp_path, encoding):
    (tmp_path / "calls.jsonl").write_text("".join(f'{{"uri": "{name}"}}\r\n' for name in NAMES), encoding=encoding)
    assert _listed(tmp_path / "calls.jsonl", root) == NAMES


def test_a_csv_of_a_spreadsheet_is_read_from_s3(s3):
    client = boto3.client("s3")
    client.put_object(Bucket=s3, Key="calls/a.wav", Body=b"x")
    client.put_object(Bucket=s3, Key="calls.csv", Body="uri;who\na.wav;Zoë\n".encode("utf-16"))
    assert _listed(f"s3://{s3}/calls.csv", f"s3://{s3}/calls") == ["a.wav"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (TEXT.encode("cp1252"), r"line 2: expected UTF-8, found another encoding \('2026/11/21/José\.wav"),
        (b"PK\x03\x04" + bytes(100), "expected text, found a spreadsheet's own file; save it as `CSV UTF-8`"),
        (b"\xff\xfeu", "expected text, found"),
    ],
)
def test_what_cannot_be_told_says_what_it_is(root, tmp_path, data, words):
    (tmp_path / "calls.csv").write_bytes(data)
    with pytest.raises(CorpusError, match=words):
        _listed(tmp_path / "calls.csv", root)


def test_an_encoding_that_shows_late_is_an_error_too(root, tmp_path):
    (tmp_path / "calls.csv").write_bytes(b"uri\n" + b"2026/11/22/b.wav\n" * 6_000 + "José.wav\n".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"calls\.csv cannot be read: .*utf-8"):
        _listed(tmp_path / "calls.csv", root)


def test_a_semicolon_in_another_column_is_none(root, tmp_path):
    (tmp_path / "calls.csv").write_text("uri,a;b;c\n2026/11/22/b.wav,x\n")
    assert _listed(tmp_path / "calls.csv", root) == ["2026/11/22/b.wav"]
    (tmp_path / "calls.csv").write_text("url;who\na.wav;b\n")
    with pytest.raises(UsageError, match="expected a column `uri`; found url, who"):
        _listed(tmp_path / "calls.csv", root)
