"""True answers of the demo's sample beside what a run published of it."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from flows.analytics.conversations import evaluate_conversations
from flows.analytics.sql import query

_UTTERANCES = """
    SELECT u.*, r.uri, u.end_s - u.start_s AS seconds
    FROM utterances u JOIN (SELECT recording_id, min(uri) AS uri FROM recordings GROUP BY 1) r USING (recording_id)"""
_FILES = """
    SELECT r.uri, r.recording_id, x.uri IS NOT NULL AS is_reject
    FROM recordings r LEFT JOIN (SELECT DISTINCT uri FROM rejects) x ON r.uri = x.uri"""


class Answer(NamedTuple):
    """A question with what is true and what the tables say."""

    what: str
    true: str
    found: str


def compare_with_truth(lake: Lake, sample: Path) -> pa.Table:
    """Return what is true of a sample beside what the lake's tables say, a row a question (`Answer`).

    `sample` holds `corpus/` and `reference.csv`, with the columns file, start_s, end_s and speaker.
    """
    speakers = _read_speakers(sample / "reference.csv")
    names = {path.relative_to(sample / "corpus").as_posix() for path in sample.glob("corpus/**/*") if path.is_file()}
    utterances, files = (_with_names(query(lake, sql)) for sql in (_UTTERANCES, _FILES))
    judged = evaluate_conversations(lake, sample / "reference.csv")["by_recording"]
    alone = {name: next(iter(who)) for name, who in speakers.items() if len(who) == 1}
    answers = [
        *_readers(utterances.filter(pl.col("file").is_in(list(alone))), alone),
        *_meetings([item for item in judged if item["speakers_true"] > 1]),
        *_odd_files(files.filter(pl.col("file").is_in(list(names))), names, set(speakers)),
    ]
    return pa.Table.from_pylist([answer._asdict() for answer in answers])


def _read_speakers(reference: Path) -> dict[str, set[str]]:
    """Return who speaks in each file with speech, by its path in the corpus."""
    speakers: dict[str, set[str]] = {}
    with reference.open(newline="") as rows:
        for row in csv.DictReader(rows):
            speakers.setdefault(row["file"], set()).add(row["speaker"])
    return speakers


def _with_names(rows: pa.Table) -> pl.DataFrame:
    """Return the rows with `file`, the path below the corpus: year, month, day and name."""
    return pl.DataFrame(rows).with_columns(file=pl.col("uri").str.extract(r"((?:[^/]+/){3}[^/]+)$"))


def _readers(utterances: pl.DataFrame, readers: dict[str, str]) -> Iterator[Answer]:
    n_found = utterances["speaker_id"].n_unique() - utterances["speaker_id"].has_nulls()
    told = utterances.with_columns(reader=pl.col("file").replace_strict(readers, return_dtype=pl.String))
    pairs = told.group_by("reader", "speaker_id").agg(pl.col("seconds").sum())
    named = pairs.drop_nulls("speaker_id")
    purity = _share_of_largest(named, "speaker_id", float(named["seconds"].sum()))
    coverage = _share_of_largest(named, "reader", float(pairs["seconds"].sum()))
    words = f"{n_found} (purity {purity:.2f}, coverage {coverage:.2f})"
    yield Answer("readers", str(len(set(readers.values()))), words)
    neutral = pl.col("emotion") == "neutral"
    n, n_neutral = len(utterances), utterances.filter(neutral).height
    yield Answer("their calm speech", "neutral", f"{n_neutral / max(1, n):.0%} of {n} utterances")
    other = utterances.filter(~neutral)  # without those that have no emotion
    if other.height:
        confidence = other.select(pl.max_horizontal(pl.selectors.starts_with("score_")).mean()).item()
        yield Answer("confidence where it is not", "low", f"{confidence:.2f}, the mean of {other.height}")


def _share_of_largest(pairs: pl.DataFrame, by: str, total: float) -> float:
    """Return the share of `total` seconds that lie in the largest pair of each `by`."""
    largest = pairs.group_by(by).agg(pl.col("seconds").max())["seconds"]
    return float(largest.sum()) / total if total else 0.0


def _meetings(meetings: list[dict[str, Any]]) -> Iterator[Answer]:
    counts = [" and ".join(str(item[f"speakers_{side}"]) for item in meetings) for side in ("true", "found")]
    yield Answer("voices in each meeting", *counts)
    reference_s = sum(item["reference_s"] for item in meetings)
    error = sum(item["der"] * item["reference_s"] for item in meetings) / reference_s
    yield Answer("diarization error there", "0%", f"{error:.0%}, overlaps counted")


def _odd_files(files: pl.DataFrame, names: set[str], with_speech: set[str]) -> Iterator[Answer]:
    n_rejected = files.filter("is_reject").height
    yield Answer("files that cannot be used", str(len(names - with_speech)), f"{n_rejected} rejected")
    read = files.filter(pl.col("file").is_in(list(with_speech)))
    n_copies = sum("-copy." in name for name in with_speech)
    yield Answer("copies", str(n_copies), f"{read.height - read['recording_id'].n_unique()} counted once")
