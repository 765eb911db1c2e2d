"""What a person says of speakers: this is Ada, these two are one, forget him. One publication each, under the lock.

A speaker_id stays what it is: other tables and other people's notes hold it. A merged voice keeps its row and centroid
(`kind` merged, `merged_into` its survivor), so that whoever is near it is the survivor, on any night and in any
backfill. A forgotten speaker keeps nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from data_contracts.errors import UsageError, ValidationStopped
from data_contracts.expectations.validation import validate
from data_contracts.lake import Lake
from data_contracts.schema.tables import (
    EMOTION_DAILY,
    FORGOTTEN_ID,
    RECORDINGS,
    SPEAKER_DAILY,
    SPEAKERS,
    utterances_schema,
)
from features.corpus.sources import Sources
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily, speaker_sums
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.publication.publish import publish_lock
from tasks.publication.roll_forward import roll_forward_dead_runs
from tasks.speakers.lookup import Row, check_name_free, display_name, existing_enrollment, find_speaker, load_speakers
from tasks.staging import projection

_DAYS_AT_A_TIME = 31
_NO_RECORDINGS = pl.DataFrame(RECORDINGS.empty_table())


def enroll(lake: Lake, voice: Row) -> Row:
    """Gives the speaker called `voice["name"]`, or a new one, this voice, and returns the row.

    Raises UsageError where the name's id is another's, or was merged.
    """
    changed: Row = {}

    def make(run_id: str) -> ManualChange:
        people = load_speakers(lake)
        before = existing_enrollment(people, voice["name"])
        check_name_free(people, voice["name"], but=before["speaker_id"])
        changed.update({"n_utterances": 0, "speech_s": 0.0, **before, **voice, "run_id": run_id})
        return _checked(ManualChange({"speakers": _table([changed])}), run_id)

    publish_manual_change(lake, "enroll", make)
    return changed


def rename(lake: Lake, who: str, name: str) -> Row:
    """Gives a speaker a name and returns the row. A found one is known by it from then on.

    Raises UsageError where nobody, or more than one, is called `who`, and where the name is another's.
    """
    changed: Row = {}

    def make(run_id: str) -> ManualChange | None:
        people = load_speakers(lake)
        row = find_speaker(people, who)
        changed.update(row)
        if (row["name"], row["kind"]) == (name, "enrolled"):
            return None
        check_name_free(people, name, but=row["speaker_id"])
        changed.update(name=name, kind="enrolled", run_id=run_id)
        tables = {"speakers": _table([changed])}
        if row["kind"] != "found":
            return _checked(ManualChange(tables), run_id)
        theirs = pl.col("speaker_id") == row["speaker_id"]
        after = _published(lake).with_columns(speaker_known=theirs | pl.col("speaker_known"))
        return _checked(_with_days(lake, tables, after.filter(theirs).collect(), after), run_id)

    publish_manual_change(lake, "speakers rename", make)
    return changed


def merge(lake: Lake, into: str, others: Sequence[str]) -> Row:
    """Makes the voices of `others` the voice of `into`, utterances and sums with them; returns the row of `into`.

    Raises UsageError where one is unknown or the same, and where a name would go and a pseudonym stay.
    """
    changed: Row = {}

    def make(run_id: str) -> ManualChange | None:
        people = load_speakers(lake)
        survivor = find_speaker(people, into)
        changed.update(survivor)
        named = {row["speaker_id"]: row for row in (find_speaker(people, other, merged=True) for other in others)}
        gone = [row for row in named.values() if row["merged_into"] != survivor["speaker_id"]]
        _check_merge(survivor, gone)
        if not gone:
            return None
        ids = [row["speaker_id"] for row in gone]
        known = survivor["kind"] == "enrolled"
        said = _said_by(lake, ids).with_columns(**_now(ids, survivor["speaker_id"], known=known))
        after = _published(lake).with_columns(**_now(ids, survivor["speaker_id"], known=known))
        sums = speaker_sums(after.filter(pl.col("speaker_id") == survivor["speaker_id"])).collect().to_dicts()
        changed.update(*sums, run_id=run_id)
        emptied = {"n_utterances": 0, "speech_s": 0.0, "first_seen": None, "last_seen": None, "run_id": run_id}
        merged = {"kind": "merged", "merged_into": survivor["speaker_id"], **emptied}
        theirs = people.filter(pl.col("merged_into").is_in(ids)).to_dicts()
        rows = [changed, *(row | merged for row in (*gone, *theirs))]
        return _checked(_with_days(lake, {"speakers": _table(rows)}, said.collect(), after), run_id)

    publish_manual_change(lake, "speakers merge", make)
    return changed


def forget(lake: Lake, who: str) -> Row:
    """Deletes a speaker: row, name, pseudonym, centroid, sources, merged voices. Returns how many utterances stay.

    The utterances stay, as those of nobody: their speaker_id is `forgotten`. Raises UsageError where nobody, or more
    than one, is called `who`.
    """
    changed: Row = {}

    def make(run_id: str) -> ManualChange | None:
        people = load_speakers(lake)
        row = find_speaker(people, who, merged=True)
        ids = [row["speaker_id"], *people.filter(pl.col("merged_into") == row["speaker_id"])["speaker_id"]]
        of_nobody = _now(ids, FORGOTTEN_ID, known=False)
        said = _said_by(lake, ids).with_columns(speaker_score=pl.lit(0.0), **of_nobody).collect()
        changed.update(speaker_id=row["speaker_id"], n_voices=len(ids), n_utterances=len(said))
        change = _with_days(lake, {"speakers": _table([])}, said, _published(lake).with_columns(**of_nobody))
        keys = pa.table({"speaker_id": pa.array(ids, pa.string())})
        return _checked(replace(change, deletes={"speakers": keys}), run_id)

    publish_manual_change(lake, "speakers forget", make)
    return changed


def remove_history(lake: Lake) -> int:
    """Removes from the store what older versions of the tables with speakers hold, and returns how many files went.

    A reader of an older version fails from then on. Under the lock, so that no file of a running publication goes.
    """
    n_files = 0
    with publish_lock(lake, "vacuum") as held:
        roll_forward_dead_runs(held)
        for table in ("speakers", "utterances", "speaker_daily"):
            delta = lake.delta(table)
            if delta is not None:
                gone = delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
                n_files += len(gone)
    return n_files


def _check_merge(survivor: Row, gone: list[Row]) -> None:
    for row in gone:
        if row["speaker_id"] == survivor["speaker_id"]:
            raise UsageError(f"{display_name(survivor)} cannot be merged with itself: name another speaker")
        if row["kind"] == "merged":
            raise UsageError(f"{row['speaker_id']} was merged into {row['merged_into']} already: merge that one")
        if row["kind"] == "enrolled" and survivor["kind"] == "found":
            raise UsageError(
                f"{display_name(row)} is known by name, {survivor['speaker_id']} is not; to keep the name: "
                f"`undertone speakers merge {row['speaker_id']} {survivor['speaker_id']}`"
            )


def _published(lake: Lake) -> pl.LazyFrame:
    return lake.frame("utterances", utterances_schema(()))


def _said_by(lake: Lake, ids: list[str]) -> pl.LazyFrame:
    return _published(lake).filter(pl.col("speaker_id").is_in(ids))


def _now(ids: list[str], speaker_id: str, *, known: bool) -> dict[str, pl.Expr]:
    """What the utterances of `ids` say of their speaker once they are another's."""
    theirs = pl.col("speaker_id").is_in(ids)
    told = {"speaker_id": pl.lit(speaker_id), "speaker_known": pl.lit(known)}
    return {name: pl.when(theirs).then(value).otherwise(pl.col(name)) for name, value in told.items()}


def _with_days(lake: Lake, tables: dict[str, pa.Table], said: pl.DataFrame, after: pl.LazyFrame) -> ManualChange:
    """With the utterances that change hands, and the days on which they were said added up anew, some at a time."""
    if said.is_empty():
        return ManualChange(tables)
    days = said["date"].unique().sort()
    emotions, speakers = [], []
    for some in (days[first : first + _DAYS_AT_A_TIME] for first in range(0, len(days), _DAYS_AT_A_TIME)):
        rows = after.filter(pl.col("date").is_in(some.implode())).collect()
        read = projection.recordings(lake, some, _NO_RECORDINGS, Sources())
        emotions.append(emotion_daily(projection.utterances_with_sources(lake, rows, read, Sources())))
        speakers.append(speaker_daily(rows.lazy()).collect())
    daily = {
        "emotion_daily": pl.concat(emotions).to_arrow().cast(EMOTION_DAILY),
        "speaker_daily": pl.concat(speakers).to_arrow().cast(SPEAKER_DAILY),
    }
    return ManualChange({**tables, "utterances": said.to_arrow(), **daily}, days=tuple(days))


def _table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SPEAKERS)


def _checked(change: ManualChange, run_id: str) -> ManualChange:
    """The sums and speakers, as any staged rows are. Raises ValidationStopped."""
    frames = {name: rows.to_pandas() for name, rows in change.tables.items() if name != "utterances"}
    verdict = validate(frames, [], run_id=run_id)
    if verdict.critical:
        raise ValidationStopped(f"the change broke a contract, nothing was published: {verdict.critical[0]}")
    return change
