"""Labels of speech: a folder with `labels.csv` (columns `path, speaker, emotion`), read without anything heavy.

An optional column `corpus` tells corpora apart that share a folder; an optional column `license` is repeated in model
cards; other columns are ignored. An empty cell means "not labelled".
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_contracts.addresses import spellings
from data_contracts.errors import CorpusError, UsageError
from data_contracts.text_tables import read_rows

_REQUIRED = ("path", "speaker", "emotion")


@dataclass(frozen=True)
class Clip:
    """One row of `labels.csv`; `speaker`, `emotion` and `licence` are empty where they are not labelled."""

    path: Path
    speaker: str
    emotion: str
    corpus: str
    licence: str = ""


def read_labels(folders: Iterable[Path]) -> list[Clip]:
    """Return the rows of every folder's `labels.csv`, in their order.

    Raises CorpusError where the list or a file in it is missing, UsageError where a column is missing.
    """
    return [clip for folder in folders for clip in _read_folder(Path(folder))]


def labels_rows(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return header and rows of a folder's `labels.csv`; the path of a row is that of its file, as it is on disk."""
    table = folder / "labels.csv"
    try:
        data = table.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"expected a list of labelled speech in {table}: {error}; write it, with the columns path,speaker,emotion"
        ) from error
    found, rows = read_rows(data, str(table), _REQUIRED)
    missing = [column for column in _REQUIRED if column not in found]
    if missing:
        raise UsageError(
            f"expected the columns {', '.join(_REQUIRED)} in {table}; found {', '.join(found) or 'none'}: "
            f"add {', '.join(missing)}, with empty cells where nothing is known"
        )
    return found, [_normalize(folder, row) for row in rows]


def _normalize(folder: Path, row: dict[str, str]) -> dict[str, str]:
    """Return a row with its file's path as it is on disk, and its labels in one spelling."""
    path = next((path for path in spellings(row["path"]) if (folder / path).is_file()), row["path"])
    labels = {name: unicodedata.normalize("NFC", row[name]) for name in ("speaker", "emotion")}
    return {**row, **labels, "path": path}


def _read_folder(folder: Path) -> list[Clip]:
    _, rows = labels_rows(folder)
    clips = [
        Clip(
            folder / row["path"],
            row["speaker"],
            row["emotion"],
            row.get("corpus") or folder.name,
            row.get("license") or "",
        )
        for row in rows
    ]
    absent = [clip.path for clip in clips if not clip.path.is_file()]
    if absent:
        raise CorpusError(
            f"{folder / 'labels.csv'} names {len(absent)} of {len(clips)} files that are not there, first {absent[0]}; "
            "paths are relative to its folder"
        )
    return clips
