"""Manual speaker edits: enroll, rename, merge, forget. Each is one publication, under the lock.

A speaker_id never changes: other tables and other people's notes hold it. A merged voice keeps its row and centroid
(`kind` merged, `merged_into` its survivor), so that a voice near it is recognised as the survivor, on any night and in
any backfill. Of a forgotten speaker nothing is kept.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from data_contracts.errors import UsageError, ValidationStopped
from data_contracts.expectations.validation import validate
from data_contracts.lake import Lake
from data_contracts.schema.tables import FORGOTTEN_ID, SPEAKERS
from tasks.aggregates.emotion_daily import speaker_sums
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.publication.publish import publish_lock
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.speakers.lookup import (
    Row,
    check_name_free,
    display_name,
    existing_enrollment,
    find_speaker,
    load_speakers,
    normal_name,
)
from tasks.speakers.reassignment import published_utterances, reassign, utterances_of, with_utterances


def enroll(lake: Lake, voice: Row) -> Row:
    """Give this voice to the speaker named `voice["name"]`, or to a new one. Returns the row.

    Raises UsageError where the name's id is another's, or was merged.
    """
    row: Row = {}
    voice = {**voice, "name": normal_name(voice["name"])}

    def make_change(run_id: str) -> ManualChange:
        speakers = load_speakers(lake)
        before = existing_enrollment(speakers, voice["name"])
        check_name_free(speakers, voice["name"], except_id=before["speaker_id"])
        row.update({"n_utterances": 0, "speech_s": 0.0, **before, **voice, "run_id": run_id})
        return _validated(ManualChange({"speakers": _table([row])}), run_id)

    publish_manual_change(lake, "enroll", make_change)
    return row


def rename(lake: Lake, name_or_id: str, name: str) -> Row:
    """Name a speaker. Returns the row. A found speaker is known by that name from then on.

    Raises UsageError where `name_or_id` matches no speaker or several, and where the name is another's.
    """
    row: Row = {}
    name = normal_name(name)

    def make_change(run_id: str) -> ManualChange | None:
        speakers = load_speakers(lake)
        before = find_speaker(speakers, name_or_id)
        row.update(before)
        if (before["name"], before["kind"]) == (name, "enrolled"):
            return None
        check_name_free(speakers, name, except_id=before["speaker_id"])
        row.update(name=name, kind="enrolled", run_id=run_id)
        tables = {"speakers": _table([row])}
        if before["kind"] != "found":
            return _validated(ManualChange(tables), run_id)
        is_theirs = pl.col("speaker_id").eq_missing(before["speaker_id"])
        after = published_utterances(lake).with_columns(speaker_known=is_theirs | pl.col("speaker_known"))
        return _validated(with_utterances(lake, tables, after.filter(is_theirs).collect(), after), run_id)

    publish_manual_change(lake, "speakers rename", make_change)
    return row


def merge(lake: Lake, into: str, others: Sequence[str]) -> Row:
    """Merge the voices of `others` into the speaker `into`, with their utterances and sums. Returns the row of `into`.

    Raises UsageError where one is unknown or the same, and where a name would be lost to a pseudonym.
    """
    row: Row = {}

    def make_change(run_id: str) -> ManualChange | None:
        speakers = load_speakers(lake)
        survivor = find_speaker(speakers, into)
        row.update(survivor)
        named = {found["speaker_id"]: found for found in (find_speaker(speakers, name, merged=True) for name in others)}
        to_merge = [other for other in named.values() if other["merged_into"] != survivor["speaker_id"]]
        _check_merge(survivor, to_merge)
        if not to_merge:
            return None
        ids = [other["speaker_id"] for other in to_merge]
        columns = reassign(ids, survivor["speaker_id"], known=survivor["kind"] == "enrolled")
        changed = utterances_of(lake, ids).with_columns(**columns).collect()
        after = published_utterances(lake).with_columns(**columns)
        sums = speaker_sums(after.filter(pl.col("speaker_id") == survivor["speaker_id"])).collect().to_dicts()
        row.update(*sums, run_id=run_id)
        no_sums = {"n_utterances": 0, "speech_s": 0.0, "first_seen": None, "last_seen": None, "run_id": run_id}
        merged = {"kind": "merged", "merged_into": survivor["speaker_id"], **no_sums}
        merged_before = speakers.filter(pl.col("merged_into").is_in(ids)).to_dicts()
        rows = [row, *(other | merged for other in (*to_merge, *merged_before))]
        return _validated(with_utterances(lake, {"speakers": _table(rows)}, changed, after), run_id)

    publish_manual_change(lake, "speakers merge", make_change)
    return row


def forget(lake: Lake, name_or_id: str) -> Row:
    """Delete a speaker: row, name, pseudonym, centroid, sources, merged voices. Returns how many utterances stay.

    The utterances stay, with the speaker_id `forgotten`. Raises UsageError where `name_or_id` matches no speaker or
    several.
    """
    counts: Row = {}

    def make_change(run_id: str) -> ManualChange | None:
        speakers = load_speakers(lake)
        row = find_speaker(speakers, name_or_id, merged=True)
        ids = [row["speaker_id"], *speakers.filter(pl.col("merged_into") == row["speaker_id"])["speaker_id"]]
        columns = reassign(ids, FORGOTTEN_ID, known=False)
        changed = utterances_of(lake, ids).with_columns(speaker_score=pl.lit(0.0), **columns).collect()
        counts.update(speaker_id=row["speaker_id"], n_voices=len(ids), n_utterances=len(changed))
        after = published_utterances(lake).with_columns(**columns)
        change = with_utterances(lake, {"speakers": _table([])}, changed, after)
        keys = pa.table({"speaker_id": pa.array(ids, pa.string())})
        return _validated(replace(change, deletes={"speakers": keys}), run_id)

    publish_manual_change(lake, "speakers forget", make_change)
    return counts


def remove_history(lake: Lake) -> int:
    """Remove the files that only older versions of the tables with speakers use. Returns how many were removed.

    A reader of an older version fails from then on. It holds the lock, so that no file of a running publication is
    removed.
    """
    n_files = 0
    with publish_lock(lake, "vacuum") as lock:
        roll_forward_dead_runs(lock)
        for table in ("speakers", "utterances", "speaker_daily"):
            delta = lake.delta(table)
            if delta is not None:
                removed = delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
                n_files += len(removed)
    return n_files


def _check_merge(survivor: Row, to_merge: list[Row]) -> None:
    """Raise UsageError where a speaker cannot be merged into the survivor."""
    for row in to_merge:
        if row["speaker_id"] == survivor["speaker_id"]:
            raise UsageError(f"{display_name(survivor)} cannot be merged with itself: name another speaker")
        if row["kind"] == "merged":
            raise UsageError(f"{row['speaker_id']} was merged into {row['merged_into']} already: merge that one")
        if row["kind"] == "enrolled" and survivor["kind"] == "found":
            raise UsageError(
                f"{display_name(row)} is known by name, {survivor['speaker_id']} is not; to keep the name: "
                f"`undertone speakers merge {row['speaker_id']} {survivor['speaker_id']}`"
            )


def _table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SPEAKERS)


def _validated(change: ManualChange, run_id: str) -> ManualChange:
    """The change, after its sums and speakers passed the expectations of staged rows. Raises ValidationStopped."""
    frames = {name: rows.to_pandas() for name, rows in change.tables.items() if name != "utterances"}
    verdict = validate(frames, [], run_id=run_id)
    if verdict.critical:
        raise ValidationStopped(f"the change broke a contract, nothing was published: {verdict.critical[0]}")
    return change
