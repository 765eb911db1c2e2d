"""Tables as text: whatever the encoding and the delimiter, the same rows."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import CorpusError
from data_contracts.text_tables import read_rows

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
COLUMNS = ["path", "speaker", "emotion"]


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS).filter(any), max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_the_form_changes_no_row(rows, delimiter, encoding, ending):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=ending).writerows([COLUMNS, *rows])
    names, found = read_rows(text.getvalue().encode(encoding), "labels.csv", COLUMNS)
    assert names == COLUMNS
    assert [tuple(row[name] for name in COLUMNS) for row in found] == rows


def test_short_and_empty_rows():
    names, rows = read_rows(b"\npath;speaker;emotion;x\na.wav;ann\n\n;;;\n", "labels.csv", COLUMNS)
    assert names == [*COLUMNS, "x"]
    assert rows == [{"path": "a.wav", "speaker": "ann", "emotion": "", "x": ""}]
    assert read_rows(b"", "labels.csv", COLUMNS) == ([], [])


def test_letters_of_one_byte_name_the_line():
    with pytest.raises(CorpusError, match=r"labels\.csv, line 3: expected UTF-8, found another encoding \('b;Zoë'"):
        read_rows("path;speaker\na;b\nb;Zoë\n".encode("latin-1"), "labels.csv", COLUMNS)
