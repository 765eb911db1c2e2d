"""Speaker overlap between training and evaluation: find it in a labelled folder, and write the folder without it."""

import csv
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

from data_contracts.fingerprint import digest
from models.data import training_set
from models.data.labels_file import Clip, labels_rows


def recording_ids(clips: Sequence[Clip]) -> list[str]:
    """Return the first 12 hex digits of the SHA-256 of each clip's bytes."""
    return [digest(clip.path.read_bytes(), 12) for clip in clips]


def overlapping_speakers(model: Path, clips: Sequence[Clip], recordings: Sequence[str]) -> set[str]:
    """Return the speakers of `clips` in the training set of the folder `model`, by a recording or by their label."""
    seen, known = training_set.read(model), training_set.read_speakers(model)
    return {
        clip.speaker
        for clip, recording in zip(clips, recordings, strict=True)
        if clip.speaker and (recording in seen or not known.isdisjoint(_hashes(clip.speaker)))
    }


def _hashes(speaker: str) -> set[str]:
    """Return the hashes of a label, composed and decomposed: older models hold it as it was written."""
    return {training_set.speaker_hash(unicodedata.normalize(form, speaker)) for form in ("NFC", "NFD")}


def write_without_speakers(speakers: Collection[str], folder: Path, out: Path) -> Path:
    """Write a `labels.csv` into `out` of the clips of other speakers in `folder`; its paths are absolute."""
    names, rows = labels_rows(folder)
    columns = list(dict.fromkeys([*names, "corpus"]))
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            if row["speaker"] not in speakers:
                place = {"path": str((folder / row["path"]).absolute()), "corpus": row.get("corpus") or folder.name}
                writer.writerow({**row, **place})
    return out
