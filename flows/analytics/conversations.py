"""Published tables held against a reference of who speaks when: `undertone models evaluate conversations`."""

import datetime as dt
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import Snapshot, snapshot
from data_contracts.lake.time_travel import snapshot_as_of
from models.metrics.diarization import (
    Conversation,
    DiarizationErrors,
    Stretch,
    Together,
    best_mapping,
    errors,
    purity_and_coverage,
    together,
)
from models.metrics.speaker_turns import Turn, read_turns

COLLAR_S = 0.25
PROTOCOL = (
    "published utterances against the reference, overlapped speech counted; collar: 0.25 s on both sides of each "
    "beginning and end of the reference is left out; der: found speakers stand for true ones, one to one, chosen in "
    "each recording; one_mapping: chosen once over all recordings; purity, coverage and found speakers: over all"
)


@dataclass(frozen=True)
class _Judged:
    """A file of the reference beside what was published of it; `why` it was not, where it was not."""

    file: str
    uri: str | None
    why: str
    talk: Conversation


def evaluate_conversations(
    lake: Lake, reference: Path, *, dates: Collection[dt.date] | None = None, as_of: str | None = None
) -> dict[str, Any]:
    """Return the error rates, speakers, purity and coverage of the published utterances, as plain values for JSON.

    A file of the reference that was not published counts as missed; recordings without a reference, and files of it
    that lie outside `dates`, are left out. Raises UsageError where the reference is none, or names nothing published.
    """
    turns = read_turns(reference)
    tables = snapshot(lake) if as_of is None else snapshot_as_of(lake, as_of, ("recordings", "utterances"))
    recordings = _Recordings(tables)
    rows = {file: recordings.find(file, reference) for file in turns}
    inside = {file: row for file, row in rows.items() if row is None or dates is None or row["date"] in dates}
    ids = {row["recording_id"] for row in inside.values() if row is not None}
    if not ids:
        raise UsageError(
            f"expected recordings that {reference} names; found none of its {len(turns)} files among "
            f"{recordings.rows.height} published in {lake.uri_of('analytics', 'recordings')}; files are matched by name"
        )
    found = _published(tables, ids)
    judged = [_judge(file, turns[file], row, found) for file, row in inside.items()]
    named = {row["uri"] for row in rows.values() if row is not None}
    others = recordings.rows.filter(pl.col("status") == "ok", ~pl.col("uri").is_in(named))
    if dates is not None:
        others = others.filter(pl.col("date").is_in(list(dates)))
    return {
        "reference": str(reference),
        "run_id": tables.run_id,
        "protocol": PROTOCOL,
        "recordings": len(judged),
        **_figures(judged),
        "by_recording": [_of_one(each) for each in judged],
        "not_published": [{"file": each.file, "why": each.why} for each in judged if each.why],
        "without_reference": sorted(others["uri"]),
        "outside_dates": sorted(rows.keys() - inside.keys()),
    }


class _Recordings:
    """The table of recordings by their files' names, with and without the extension."""

    def __init__(self, tables: Snapshot) -> None:
        columns = ("uri", "recording_id", "status", "reason", "date")
        self.rows = tables.scan("recordings").select(columns).collect()
        self._by_name: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows.iter_rows(named=True):
            path = PurePosixPath(_plain(row["uri"]))
            for name in {path.name, path.stem}:
                self._by_name.setdefault(name, []).append(row)

    def find(self, file: str, reference: Path) -> dict[str, Any] | None:
        """Return the row of a reference's file; None where there is none. Raises UsageError where several fit."""
        path = PurePosixPath(_plain(file))
        rows = self._by_name.get(path.name) or self._by_name.get(path.stem) or []
        whole = [row for row in rows if f"/{_plain(row['uri'])}".endswith((f"/{path}", f"/{path}{_suffix(row)}"))]
        fitting = whole or rows
        if len({row["recording_id"] for row in fitting}) > 1:
            places = ", ".join(sorted(row["uri"] for row in fitting)[:3])
            raise UsageError(
                f"{reference}: expected one recording of the name {file}; found {len(fitting)}, {places}; write more "
                "of its path into the reference"
            )
        usable = [row for row in fitting if row["status"] == "ok"]
        return next(iter(usable or fitting), None)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _suffix(row: dict[str, Any]) -> str:
    return PurePosixPath(row["uri"]).suffix


def _published(tables: Snapshot, ids: Collection[str]) -> dict[str, list[Turn]]:
    """Return the published utterances of recordings, all channels together."""
    columns = ("recording_id", "start_s", "end_s", "speaker_id")
    utterances = tables.scan("utterances").filter(pl.col("recording_id").is_in(list(ids))).select(columns).collect()
    turns: dict[str, list[Turn]] = {}
    for recording_id, *turn in utterances.iter_rows():
        turns.setdefault(recording_id, []).append(Turn(*turn))
    return turns


def _judge(file: str, true: Sequence[Turn], row: dict[str, Any] | None, found: dict[str, list[Turn]]) -> _Judged:
    if row is None:
        return _Judged(file, None, "no recording of that name is in the table", Conversation(true, []))
    why = "" if row["status"] == "ok" else f"{row['status']}: {row['reason']}"
    return _Judged(file, row["uri"], why, Conversation(true, found.get(row["recording_id"], [])))


def _figures(judged: Sequence[_Judged]) -> dict[str, Any]:
    plain = [each.talk.stretches for each in judged]
    collared = [each.talk.without_collar(COLLAR_S) for each in judged]
    seconds = _sum([together(stretches) for stretches in plain])
    purity, coverage = purity_and_coverage(seconds)
    true, found = ({turn.speaker for each in judged for turn in side(each)} for side in (_true, _found))
    return {
        "reference_s": round(_errors(plain, one_mapping=False).reference_s, 3),
        **_errors(plain, one_mapping=False).rates(),
        "with_collar": _errors(collared, one_mapping=False).rates(),
        "one_mapping": {
            **_errors(plain, one_mapping=True).rates(),
            "with_collar": _errors(collared, one_mapping=True).rates(),
        },
        "speakers_true": len(true),
        "speakers_found": len(found - {None}),
        "recordings_counted_right": sum(_n_speakers(_true(each)) == _n_speakers(_found(each)) for each in judged),
        "purity": round(purity, 4),
        "coverage": round(coverage, 4),
        "unknown_s": round(sum(end - start for each in judged for start, end, who in _found(each) if who is None), 3),
    }


def _errors(recordings: Sequence[Sequence[Stretch]], *, one_mapping: bool) -> DiarizationErrors:
    seconds = [together(stretches) for stretches in recordings]
    total = DiarizationErrors()
    mapping = best_mapping(_sum(seconds)) if one_mapping else {}
    for stretches, own in zip(recordings, seconds, strict=True):
        total.add(errors(stretches, mapping if one_mapping else best_mapping(own)))
    return total


def _of_one(judged: _Judged) -> dict[str, Any]:
    result = _errors([judged.talk.stretches], one_mapping=False)
    counts = {"speakers_true": _n_speakers(_true(judged)), "speakers_found": _n_speakers(_found(judged))}
    return {
        "file": judged.file,
        "uri": judged.uri,
        "reference_s": round(result.reference_s, 3),
        **result.rates(),
        **counts,
    }


def _true(judged: _Judged) -> Sequence[Turn]:
    return judged.talk.true


def _found(judged: _Judged) -> Sequence[Turn]:
    return judged.talk.found


def _n_speakers(turns: Sequence[Turn]) -> int:
    return len({turn.speaker for turn in turns} - {None})


def _sum(parts: Sequence[Together]) -> Together:
    total: Together = {}
    for part in parts:
        for pair, seconds in part.items():
            total[pair] = total.get(pair, 0.0) + seconds
    return total
