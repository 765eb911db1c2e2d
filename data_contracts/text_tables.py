"""Tables as text, as spreadsheets save them: encodings and delimiters that can be told for sure."""

import codecs
import csv
import io
import re
from collections.abc import Sequence

from data_contracts.errors import CorpusError

_MARKS = {  # the longer first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_DELIMITERS = ",;\t|"


def encoding_of(head: bytes, name: str) -> str:
    """Return the encoding of a text, from all of it or its first bytes.

    Raises CorpusError for a workbook, and for an encoding of one byte a letter: which of them it is cannot be told.
    """
    if head.startswith(_WORKBOOKS):
        raise CorpusError(f"{name}: expected text, found a spreadsheet's own file; save it as `CSV UTF-8`")
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head[:2]:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        text = head.splitlines()[line - 1][:80].decode("cp1252", "replace")
        raise CorpusError(
            f"{name}, line {line}: expected UTF-8, found another encoding ({text!r}, if Windows-1252 or Latin-1); "
            "save it as `CSV UTF-8`, or `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error
    return "utf-8"


def decode_text(data: bytes, name: str) -> str:
    """Return a whole text. Raises CorpusError where it is no text."""
    try:
        return data.decode(encoding_of(data, name))
    except UnicodeDecodeError as error:
        raise CorpusError(f"{name}: expected text, found {error}; save it as `CSV UTF-8`") from error


def find_delimiter(header: str, columns: Sequence[str]) -> str:
    r"""Return the delimiter by which a header has all `columns`, else the one that gives most columns.

    >>> find_delimiter("path;speaker;emotion, as heard", ["path", "speaker"]), find_delimiter("uri", ["uri"])
    (';', ',')
    """
    found = {mark: [name.strip() for name in next(csv.reader([header], delimiter=mark), [])] for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: (set(columns) <= set(found[mark]), len(found[mark])))


def read_rows(data: bytes, name: str, columns: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Return a table's header and rows; a missing cell is empty. Raises CorpusError where it is no text."""
    text = re.sub(r"\Asep=.\r?\n", "", decode_text(data, name))  # a line that tells a spreadsheet the delimiter
    header = next((line for line in text.splitlines() if line.strip()), "")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(header, columns))
    names = [cell.strip() for cell in next((row for row in rows if row), [])]
    cells = ((*row, *[""] * (len(names) - len(row))) for row in rows if any(row))
    return names, [dict(zip(names, row, strict=False)) for row in cells]
