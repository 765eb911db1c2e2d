"""Lookup of speakers by name or id, and checks of new names.

A name has one spelling, composed (Unicode's NFC): a Mac writes `é` as two characters, others as one. Lakes may hold
decomposed names from before, which are found by either.
"""

import difflib
import re
import unicodedata
from typing import Any

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.schema.tables import FORGOTTEN_ID, SPEAKERS

Row = dict[str, Any]


def normal_name(name: str) -> str:
    """Return the one spelling of a name.

    >>> normal_name("Jose\u0301") == "Jos\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name)


def load_speakers(lake: Lake) -> pl.DataFrame:
    """Return the table, merged voices included, sorted by speaker_id."""
    return lake.frame("speakers", SPEAKERS).select(SPEAKERS.names).sort("speaker_id").collect()


def find_speaker(speakers: pl.DataFrame, name_or_id: str, *, merged: bool = False) -> Row:
    """Return the row of a speaker by id or by name. Raises UsageError where none or several match.

    `merged` also allows a merged voice, by its id.
    """
    rows = speakers.to_dicts()
    by_id = {row["speaker_id"]: row for row in rows}
    name_or_id = name_or_id if name_or_id in by_id else normal_name(name_or_id)
    if name_or_id in by_id:
        row = by_id[name_or_id]
        if row["kind"] == "merged" and not merged:
            survivor = by_id.get(row["merged_into"], row)
            raise UsageError(f"{name_or_id} was merged into {display_name(survivor)}: say {survivor['speaker_id']}")
        return row
    current = [row for row in rows if row["kind"] != "merged"]
    named = [row for row in current if _caseless(row["name"]) == _caseless(name_or_id)]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(
            f"{name_or_id!r} is the name of {', '.join(row['speaker_id'] for row in named)}: say which, by its id"
        )
    words = {word for row in current for word in (row["speaker_id"], row["name"])}
    near = difflib.get_close_matches(name_or_id, sorted(words), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"no speaker is called {name_or_id!r}; {hint}`undertone speakers` lists them")


def existing_enrollment(speakers: pl.DataFrame, name: str) -> Row:
    """Return the row of the speaker with this name; only a new speaker_id where there is none.

    Raises UsageError where the id is taken by another speaker, or was merged.
    """
    rows, speaker_id = speakers.to_dicts(), slug(name)
    named = [row for row in rows if row["kind"] != "merged" and normal_name(row["name"]) == normal_name(name)]
    if named:
        return min(named, key=lambda row: row["speaker_id"] != speaker_id)
    for row in rows:
        if row["speaker_id"] != speaker_id:
            continue
        if row["kind"] == "merged":
            raise UsageError(
                f"{speaker_id} was merged into {row['merged_into']}: enroll under that one's name, or first "
                f"`undertone speakers forget {speaker_id}`"
            )
        raise UsageError(f"{speaker_id} is {row['name']!r} already; enroll {name!r} under another name")
    return {"speaker_id": speaker_id}


def slug(name: str) -> str:
    """Return the speaker_id for an enrolled name. Raises UsageError where nothing is left of it, or it is reserved.

    >>> slug("Ada Lovelace")
    'ada-lovelace'
    """
    speaker_id = re.sub(r"[\W_]+", "-", _caseless(name)).strip("-")
    if not speaker_id:
        raise UsageError(f"a speaker's name needs a letter or a digit; found {name!r}")
    if speaker_id == FORGOTTEN_ID:
        raise UsageError(f"{name!r} stands for speakers who were forgotten; choose another name")
    return speaker_id


def check_name_free(speakers: pl.DataFrame, name: str, *, except_id: str) -> None:
    """Raise UsageError where `name` cannot be a name, or is that of a speaker other than `except_id`."""
    slug(name)
    for row in speakers.filter(pl.col("kind") != "merged", pl.col("speaker_id") != except_id).iter_rows(named=True):
        if _caseless(name) in {_caseless(row["speaker_id"]), _caseless(row["name"])}:
            raise UsageError(
                f"{name!r} is {row['speaker_id']} already; are the two one person, then "
                f"`undertone speakers merge {row['speaker_id']} {except_id}`, or choose another name"
            )


def _caseless(name: str) -> str:
    return normal_name(normal_name(name).casefold())


def display_name(row: Row) -> str:
    """Return the name with the id, where they differ."""
    return str(row["name"] if row["name"] == row["speaker_id"] else f"{row['name']} ({row['speaker_id']})")
