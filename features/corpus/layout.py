"""Layout of the corpus: its root and the dates in its paths."""

import datetime as dt
import os
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from data_contracts.addresses import is_url
from data_contracts.errors import UsageError
from data_contracts.object_store.retry import RetryPolicy

DEFAULT_LAYOUT = "{root}/{date:%Y/%m/%d}/"
_DIGITS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})", "%%": "%"}


@dataclass(frozen=True)
class Corpus:
    """Location of the audio; `layout` is a template with `{root}` and `{date:…}`, or the word `modified`.

    `hidden` lists hidden and system files too; `own_folders`, the lake among them, are never listed.
    """

    root: str
    layout: str = DEFAULT_LAYOUT
    manifest: str | None = None
    hidden: bool = False
    own_folders: tuple[str, ...] = ()
    retry_policy: RetryPolicy = field(default=RetryPolicy(), repr=False)

    def __post_init__(self) -> None:
        if not self.root and not self.manifest:
            raise UsageError("where is the audio? Found no corpus; give --corpus DIR_OR_URL or set UNDERTONE_CORPUS")
        if not self.manifest and any(_is_same_place(self.root, folder) for folder in self.own_folders):
            raise UsageError(
                f"expected the lake in a folder of its own, found it where the audio is, {self.root}; give --lake "
                f"another folder, for example {self.root.rstrip('/')}/lake: it is left out of the listing"
            )
        if self.layout != "modified" and ("{root}" not in self.layout or _pattern(self.layout, "") is None):
            raise UsageError(
                "layout: expected a template of folders with {root} and {date:…} that says the day with %Y, %m and %d, "
                f"or 'modified'; found {self.layout!r}"
            )


def date_in_path(uri: str, layout: str, root: str) -> dt.date | None:
    """Parse the date that `layout` puts into a path; None where the path (or the layout) has none.

    >>> date_in_path("s3://calls/2026/11/21/a.flac", DEFAULT_LAYOUT, "s3://calls")
    datetime.date(2026, 11, 21)
    """
    pattern = _pattern(layout, strip_protocol(root.rstrip("/")))
    found = re.search(pattern, strip_protocol(uri)) if pattern else None
    if not found:
        return None
    try:
        return dt.date(*(int(found[part]) for part in "Ymd"))
    except ValueError:
        return None


def date_of_run(dates: Sequence[dt.date] | None) -> dt.date:
    """Return the date for what has none of its own: the last of the run's, or today (UTC).

    >>> date_of_run([dt.date(2026, 11, 21), dt.date(2026, 11, 20)])
    datetime.date(2026, 11, 21)
    """
    return max(dates) if dates else dt.datetime.now(dt.UTC).date()


def split_at_date(uri: str, layout: str, date: dt.date) -> tuple[str, str] | None:
    """Split a path before and behind the folder of its date, wherever the corpus' root is; None without one.

    >>> split_at_date("s3://calls/2026/11/21/support/a.flac", DEFAULT_LAYOUT, dt.date(2026, 11, 21))
    ('calls', 'support/a.flac')
    """
    pattern, path = _pattern(layout, ""), strip_protocol(uri)
    day = (f"{date.year:04}", f"{date.month:02}", f"{date.day:02}")
    for found in re.finditer(pattern, path) if pattern else ():
        if found.group("Y", "m", "d") == day:
            return path[: found.start()], path[found.end() :]
    return None


@lru_cache(maxsize=16)
def _pattern(layout: str, root: str) -> str | None:
    """Return a regular expression for the folder that `layout` names; None where `layout` has no root and day."""
    pattern = ""
    try:
        for text, name, style, _ in string.Formatter().parse(strip_protocol(layout).rstrip("/") + "/"):
            pattern += re.escape(text)
            if name == "root":
                pattern += re.escape(root)
            elif name == "date":
                pattern += re.sub("%.", lambda match: _DIGITS[match.group()], re.escape(style or "%Y-%m-%d"))
            elif name is not None:
                return None
    except (KeyError, ValueError):
        return None
    for part in "Ymd":  # the same number twice must be the same number
        before, first, after = pattern.partition(_DIGITS[f"%{part}"])
        if not first:
            return None
        pattern = before + first + after.replace(first, f"(?P={part})")
    return pattern


def _is_same_place(one: str, other: str) -> bool:
    """Tell whether two addresses are the same folder, whatever link or protocol leads there.

    >>> _is_same_place("s3a://b/calls/", "s3://b/calls"), _is_same_place("s3://b/calls", "s3://b/calls/lake")
    (True, False)
    """
    is_stored = is_url(one), is_url(other)
    if is_stored == (False, False):
        return os.path.realpath(one) == os.path.realpath(other)
    return all(is_stored) and strip_protocol(one).rstrip("/") == strip_protocol(other).rstrip("/")


def strip_protocol(uri: str) -> str:
    """Remove the protocol: s3 and s3a, file and none, are the same place."""
    return re.sub(r"^[a-z0-9+.-]+://", "", uri)
