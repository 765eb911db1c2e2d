"""Who is meant: the speaker behind a name or an id, and what may become a name."""

import difflib
import re
from typing import Any

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.schema.tables import FORGOTTEN_ID, SPEAKERS

Row = dict[str, Any]


def load_speakers(lake: Lake) -> pl.DataFrame:
    """The table, merged voices included."""
    return lake.frame("speakers", SPEAKERS).select(SPEAKERS.names).sort("speaker_id").collect()


def find_speaker(people: pl.DataFrame, who: str, *, merged: bool = False) -> Row:
    """The row of a speaker by id or by name. Raises UsageError; `merged` also takes a merged voice, by its id."""
    rows = people.to_dicts()
    there = {row["speaker_id"]: row for row in rows}
    if who in there:
        row = there[who]
        if row["kind"] == "merged" and not merged:
            survivor = there.get(row["merged_into"], row)
            raise UsageError(f"{who} was merged into {display_name(survivor)}: say {survivor['speaker_id']}")
        return row
    alive = [row for row in rows if row["kind"] != "merged"]
    named = [row for row in alive if row["name"].casefold() == who.casefold()]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(
            f"{who!r} is the name of {', '.join(row['speaker_id'] for row in named)}: say which, by its id"
        )
    words = {word for row in alive for word in (row["speaker_id"], row["name"])}
    near = difflib.get_close_matches(who, sorted(words), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"no speaker is called {who!r}; {hint}`undertone speakers` lists them")


def existing_enrollment(people: pl.DataFrame, name: str) -> Row:
    """The row of who has the name; of nobody yet, an id alone."""
    rows = people.to_dicts()
    for row in rows:
        if row["kind"] != "merged" and row["name"] == name:
            return row
    speaker_id = slug(name)
    for row in rows:
        if row["speaker_id"] != speaker_id:
            continue
        if row["kind"] == "merged":
            raise UsageError(
                f"{speaker_id} was merged into {row['merged_into']}: enrol under that one's name, or first "
                f"`undertone speakers forget {speaker_id}`"
            )
        raise UsageError(f"{speaker_id} is {row['name']!r} already; enrol {name!r} under another name")
    return {"speaker_id": speaker_id}


def slug(name: str) -> str:
    """The speaker_id of who is enrolled by this name. Raises UsageError where nothing is left of it, or it is taken.

    >>> slug("Ada Lovelace")
    'ada-lovelace'
    """
    speaker_id = re.sub(r"[\W_]+", "-", name.casefold()).strip("-")
    if not speaker_id:
        raise UsageError(f"a speaker's name needs a letter or a digit; found {name!r}")
    if speaker_id == FORGOTTEN_ID:
        raise UsageError(f"{name!r} stands for speakers who were forgotten; choose another name")
    return speaker_id


def check_name_free(people: pl.DataFrame, name: str, *, but: str) -> None:
    """Raises UsageError where `name` is none, or another's than `but`."""
    slug(name)
    for row in people.filter(pl.col("kind") != "merged", pl.col("speaker_id") != but).iter_rows(named=True):
        if name.casefold() in {row["speaker_id"].casefold(), row["name"].casefold()}:
            raise UsageError(
                f"{name!r} is {row['speaker_id']} already; are the two one person, then "
                f"`undertone speakers merge {row['speaker_id']} {but}`, or choose another name"
            )


def display_name(row: Row) -> str:
    return str(row["name"] if row["name"] == row["speaker_id"] else f"{row['name']} ({row['speaker_id']})")
