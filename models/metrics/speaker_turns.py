"""References of who speaks when: RTTM (NIST), or CSV with the columns `file, start_s, end_s, speaker`."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_contracts.errors import CorpusError, UsageError
from data_contracts.text_tables import decode_text, find_delimiter

COLUMNS = ("file", "start_s", "end_s", "speaker")
_RTTM_FIELDS, _RTTM_COMMENT = 8, ";;"
_RTTM_TYPES = {
    "SPEAKER", "SPKR-INFO", "NON-LEX", "NON-SPEECH", "LEXEME", "NOSCORE", "NO_RT_METADATA", "SEGMENT", "A/P", "SU",
    "CB", "IP", "EDIT", "FILLER", "BACKCHANNEL",
}  # fmt: skip


class Turn(NamedTuple):
    """Somebody speaks from `start_s` to `end_s`; without a `speaker` it is not known who."""

    start_s: float
    end_s: float
    speaker: str | None


def read_turns(path: Path) -> dict[str, list[Turn]]:
    """Return the turns of each file of a reference, by the file's name there, in time's order.

    Raises CorpusError where the file cannot be read, UsageError with the line where it is no reference.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"expected a reference of who speaks when in {path}: {error}; write it, as RTTM or as CSV with the columns "
            f"{','.join(COLUMNS)}"
        ) from error
    text = decode_text(data, str(path))
    rows = _rttm_rows(text, path) if _is_rttm(text) else _csv_rows(text, path)
    turns: dict[str, list[Turn]] = {}
    for file, turn in rows:
        turns.setdefault(file, []).append(turn)
    if not turns:
        raise UsageError(f"expected turns of speakers in {path}; found none; give one a line ({','.join(COLUMNS)})")
    return {file: sorted(turns[file]) for file in sorted(turns)}


def _is_rttm(text: str) -> bool:
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.startswith(_RTTM_COMMENT))
    return next(lines, [""])[0] in _RTTM_TYPES


def _rttm_rows(text: str, path: Path) -> Iterator[tuple[str, Turn]]:
    """Yield the lines of type SPEAKER: `SPEAKER file channel start duration <NA> <NA> speaker …`."""
    for number, line in enumerate(text.splitlines(), 1):
        cells, where = line.split(), f"{path}, line {number}"
        if not cells or line.startswith(_RTTM_COMMENT):
            continue
        if cells[0] not in _RTTM_TYPES:
            raise UsageError(f"{where}: expected a line of RTTM, SPEAKER first; found {line[:80]!r}; remove or mend it")
        if cells[0] != "SPEAKER":
            continue
        if len(cells) < _RTTM_FIELDS:
            raise UsageError(
                f"{where}: expected SPEAKER file channel start duration <NA> <NA> speaker; found {len(cells)} fields, "
                f"{line[:80]!r}; write <NA> where nothing is known"
            )
        start_s, duration_s = (_seconds(cells[place], what, where) for place, what in ((3, "start"), (4, "duration")))
        yield cells[1], _turn(start_s, start_s + duration_s, cells[7], where)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[str, Turn]]:
    header = next((line for line in text.splitlines() if line.strip()), "")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(header, COLUMNS))
    names = [cell.strip() for cell in next((row for row in lines if any(row)), [])]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise UsageError(
            f"{path}, line {max(1, lines.line_num)}: expected the columns {', '.join(COLUMNS)}, or RTTM; found "
            f"{', '.join(names)[:80] or 'none'}; add {', '.join(missing)}"
        )
    places = [names.index(column) for column in COLUMNS]
    for row in lines:
        if not any(row):
            continue
        where = f"{path}, line {lines.line_num}"
        if len(row) <= max(places):
            raise UsageError(
                f"{where}: expected {len(names)} cells; found {len(row)}, {row!r:.80}; fill {', '.join(COLUMNS)}"
            )
        file, start, end, speaker = (row[place].strip() for place in places)
        yield file, _turn(_seconds(start, "start_s", where), _seconds(end, "end_s", where), speaker, where)


def _seconds(cell: str, what: str, where: str) -> float:
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{where}: expected {what} in seconds, from 0; found {cell!r}; write it as 12.34")
    return seconds


def _turn(start_s: float, end_s: float, speaker: str, where: str) -> Turn:
    if not speaker:
        raise UsageError(f"{where}: expected who speaks; found no name; give each voice a label, or remove the line")
    if end_s < start_s:
        raise UsageError(f"{where}: expected an end after the start, {start_s:g} s; found {end_s:g} s; swap the two")
    return Turn(start_s, end_s, speaker)
