"""Rows of the dashboard's tables, as `components.table` takes them."""

from collections.abc import Iterator, Sequence

import polars as pl

from flows.charts.palette import GREY, VERDICTS
from flows.dashboard import components
from flows.dashboard.quality import Audit
from flows.dashboard.recordings import Recording

Cells = Sequence[str]


def run_rows(rows: pl.DataFrame) -> Iterator[Cells]:
    """Yield started, status, read, rejected, utterances, RTFx."""
    for row in rows.iter_rows(named=True):
        status = f"{row['status']} in {row['stage']}" if row["stage"] else row["status"]
        speed = "" if row["rtfx"] is None else f"{row['rtfx']:,.1f}"
        counts = (f"{row[name]:,}" for name in ("n_read", "n_rejected", "n_published_utterances"))
        started = f'<span title="{components.escape_text(row["run_id"])}">{row["started"]:%d %b %H:%M}</span>'
        yield started, components.dot(VERDICTS.get(row["status"], GREY), status), *counts, speed


def audit_rows(audits: Sequence[Audit]) -> Iterator[Cells]:
    """Yield run, verdict, and a link to its Data Docs on the dashboard's own server."""
    colours = {"passed": VERDICTS["done"], "warned": VERDICTS["stopped"], "stopped": VERDICTS["failed"]}
    for audit in audits:
        _, _, path = (audit.validation or "").rpartition("/validation/")
        docs = components.link(f"validation/{path}", "Data Docs") if path else ""
        yield (
            components.escape_text(audit.run_id),
            components.dot(colours.get(audit.verdict, GREY), audit.verdict.replace("_", " ")),
            docs,
        )


def utterance_rows(recording: Recording, utterances: pl.DataFrame) -> Iterator[Cells]:
    """Yield player, from, to, emotion, score, speaker."""
    for row in utterances.iter_rows(named=True):
        place = row["channel"], row["start_s"], row["end_s"]
        yield (
            components.player(recording.recording_id, recording.date, *place),
            f"{row['start_s']:.2f}",
            f"{row['end_s']:.2f}",
            components.emotion_dot(row["emotion"]),
            "" if row["score"] is None else f"{row['score']:.2f}",
            components.escape_text(row["name"]),
        )


def difference_rows(rows: pl.DataFrame) -> Iterator[Cells]:
    """Yield player, one model's emotion with its score, the other's, date."""
    for row in rows.iter_rows(named=True):
        emotions = (f"{components.emotion_dot(row[side])} {row[f'{side}_score']:.2f}" for side in ("left", "right"))
        place = row["recording_id"], row["date"], row["channel"], row["start_s"], row["end_s"]
        yield components.player(*place), *emotions, components.escape_text(row["date"])
