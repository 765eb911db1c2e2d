"""Labelled speech: a folder with `labels.csv` (columns `path, speaker, emotion`), segmented as by the pipeline.

An optional column `corpus` tells corpora apart that share a folder; an optional column `license` is repeated in model
cards; other columns are ignored. An empty cell means "not labelled".
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data_contracts.errors import CorpusError, UsageError
from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.extraction.shard import find_speech_spans
from features.segmentation.config import VadConfig

_REQUIRED = ("path", "speaker", "emotion")
_CLIPS_PER_BATCH = 64


@dataclass(frozen=True)
class Clip:
    """One row of `labels.csv`; `speaker`, `emotion` and `licence` are empty where they are not labelled."""

    path: Path
    speaker: str
    emotion: str
    corpus: str
    licence: str = ""


@dataclass(frozen=True)
class Speech:
    """The speech of a clip: the spans that the pipeline's voice activity detection finds, joined."""

    clip: Clip
    recording_id: str  # first 12 hex of the SHA-256 of the file's bytes
    waveform: np.ndarray  # (time,) float32 at 16 kHz


def read_labels(folders: Iterable[Path]) -> list[Clip]:
    """Return the rows of every folder's `labels.csv`, in their order.

    Raises CorpusError where the list or a file in it is missing, UsageError where a column is missing.
    """
    return [clip for folder in folders for clip in _read_folder(Path(folder))]


def manifest_digest(speech: Iterable[Speech]) -> str:
    """Return 12 hex digits that name a training set: its recordings and their labels, in any order."""
    items = list(speech)
    return manifest_digest_from_ids([item.clip for item in items], [item.recording_id for item in items])


def manifest_digest_from_ids(clips: Iterable[Clip], recordings: Iterable[str]) -> str:
    """Return `manifest_digest` of clips and the hashes of their content."""
    rows = sorted((name, clip.corpus, clip.speaker, clip.emotion) for clip, name in zip(clips, recordings, strict=True))
    return digest("\n".join("\t".join(row) for row in rows).encode(), 12)


def _read_folder(folder: Path) -> list[Clip]:
    table = folder / "labels.csv"
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"expected a list of labelled speech in {table}: {error}; write it, with the columns path,speaker,emotion"
        ) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), restval="")
    found = rows.fieldnames or []
    missing = [column for column in _REQUIRED if column not in found]
    if missing:
        raise UsageError(
            f"expected the columns {', '.join(_REQUIRED)} in {table}; found {', '.join(found) or 'none'}: "
            f"add {', '.join(missing)}, with empty cells where nothing is known"
        )
    clips = [
        Clip(
            folder / row["path"],
            unicodedata.normalize("NFC", row["speaker"]),
            unicodedata.normalize("NFC", row["emotion"]),
            row.get("corpus") or folder.name,
            row.get("license") or "",
        )
        for row in rows
    ]
    absent = [clip.path for clip in clips if not clip.path.is_file()]
    if absent:
        raise CorpusError(
            f"{table} names {len(absent)} of {len(clips)} files that are not there, first {absent[0]}; "
            "paths are relative to its folder"
        )
    return clips


def read_speech(clips: Sequence[Clip], config: VadConfig = VadConfig()) -> Iterator[Speech]:
    """Yield the speech of each clip, in order, without clips that do not decode or hold no speech.

    The same content under another name counts once, as in the pipeline.
    """
    known: set[str] = set()
    for first in range(0, len(clips), _CLIPS_PER_BATCH):
        decoded: list[tuple[Clip, str, np.ndarray]] = []
        for clip in clips[first : first + _CLIPS_PER_BATCH]:
            data = clip.path.read_bytes()
            recording_id = digest(data, 12)
            audio = decode(data)
            if isinstance(audio, Decoded) and recording_id not in known:
                decoded.append((clip, recording_id, audio.waveform))
                known.add(recording_id)
        found = find_speech_spans([waveform for *_, waveform in decoded], config, torch.device("cpu"))
        for (clip, recording_id, waveform), spans in zip(decoded, found, strict=True):
            if spans:
                pieces = [waveform[round(s.start_s * SAMPLE_RATE) : round(s.end_s * SAMPLE_RATE)] for s in spans]
                yield Speech(clip, recording_id, np.concatenate(pieces))
