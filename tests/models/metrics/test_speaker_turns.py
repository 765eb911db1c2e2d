"""References of who speaks when, as tools and people write them."""

from pathlib import Path

import pytest

from data_contracts.errors import CorpusError, UsageError
from models.metrics.speaker_turns import Turn, read_turns

RTTM = """;; a comment
SPKR-INFO call 1 <NA> <NA> <NA> unknown ada <NA>
SPEAKER call 1 2.50 1.50 <NA> <NA> ben <NA> <NA>
SPEAKER call 1 0.25 2 <NA> <NA> ada <NA> <NA>

SPEAKER other 1 0 1 <NA> <NA> ada <NA>
"""
CSV = "file,start_s,end_s,speaker\ncall.flac,2.5,4,ben\ncall.flac,0.25,2.25,ada\nother.flac,0,1,ada\n"


def written(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / "reference"
    path.write_text(text, encoding=encoding)
    return path


def test_rttm(tmp_path) -> None:
    turns = read_turns(written(tmp_path, RTTM))
    assert turns == {"call": [Turn(0.25, 2.25, "ada"), Turn(2.5, 4.0, "ben")], "other": [Turn(0, 1, "ada")]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_as_spreadsheets_save_it(tmp_path, delimiter, encoding) -> None:
    turns = read_turns(written(tmp_path, CSV.replace(",", delimiter), encoding=encoding))
    assert turns["call.flac"] == [Turn(0.25, 2.25, "ada"), Turn(2.5, 4.0, "ben")]


def test_columns_in_another_order_and_more_of_them(tmp_path) -> None:
    turns = read_turns(written(tmp_path, "speaker,note,file,end_s,start_s\nada,x,a.flac,2,1\n"))
    assert turns == {"a.flac": [Turn(1, 2, "ada")]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,start_s,end_s,speaker\na,0,1,x\na,1,no,x\n", "line 3: expected end_s in seconds"),
        ("file,start_s,end_s,speaker\na,0,1,x\na,-1,1,x\n", "line 3: expected start_s in seconds, from 0"),
        ("file,start_s,end_s,speaker\na,5,1,x\n", "line 2: expected an end after the start, 5 s; found 1 s"),
        ("file,start_s,end_s,speaker\na,0,1,\n", "line 2: expected who speaks"),
        ("file,start_s,end_s,speaker\na,0,1\n", "line 2: expected 4 cells; found 3"),
        ("file,start,end,speaker\na,0,1,x\n", "line 1: expected the columns file, start_s, end_s, speaker, or RTTM"),
        ("file,start_s,end_s,speaker\n", "expected turns of speakers"),
        ("SPEAKER a 1 0 1 <NA> <NA> x\nSPEAKER a 1 0\n", "line 2: expected SPEAKER file channel start duration"),
        ("SPEAKER a 1 0 nan <NA> <NA> x\n", "line 1: expected duration in seconds"),
        ("SPEAKER a 1 0 1 <NA> <NA> x\nwhatever\n", "line 2: expected a line of RTTM"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, words) -> None:
    with pytest.raises(UsageError, match=words):
        read_turns(written(tmp_path, text))


def test_a_reference_that_is_not_there(tmp_path) -> None:
    with pytest.raises(CorpusError, match=r"expected a reference .*; write it, as RTTM or as CSV"):
        read_turns(tmp_path / "reference.rttm")
