"""The corpus: where it is, how its folders say the day, and how one object of it looks. It is only ever read."""

import datetime as dt
import re
import string
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import fsspec

from data_contracts.errors import CorpusError, UsageError
from data_contracts.patience import Patience
from data_contracts.records import AudioObject
from data_contracts.storage import s3fs_options
from features.names import as_on_disk, as_text, is_url

DEFAULT_LAYOUT = "{root}/{date:%Y/%m/%d}/"
_DIGITS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})", "%%": "%"}
_STAMPS = ("LastModified", "last_modified", "mtime", "updated", "created")


@dataclass(frozen=True)
class Corpus:
    """Where the audio is: `layout` is a template with `{root}` and `{date:…}`, or the word `modified`."""

    root: str
    layout: str = DEFAULT_LAYOUT
    manifest: str | None = None
    patience: Patience = field(default=Patience(), repr=False)

    def __post_init__(self) -> None:
        if not self.root and not self.manifest:
            raise UsageError("where is the audio? Found no corpus; give --corpus DIR_OR_URL or set UNDERTONE_CORPUS")
        if self.layout != "modified" and ("{root}" not in self.layout or _pattern(self.layout, "") is None):
            raise UsageError(
                "layout: expected a template of folders with {root} and {date:…} that says the day with %Y, %m and %d, "
                f"or 'modified'; found {self.layout!r}"
            )


def date_in_path(uri: str, layout: str, root: str) -> dt.date | None:
    """The date that `layout` puts into a path, or None where the path (or the layout) has none.

    >>> date_in_path("s3://calls/2026/11/21/a.flac", DEFAULT_LAYOUT, "s3://calls")
    datetime.date(2026, 11, 21)
    """
    pattern = _pattern(layout, without_protocol(root.rstrip("/")))
    found = re.search(pattern, without_protocol(uri)) if pattern else None
    if not found:
        return None
    try:
        return dt.date(*(int(found[part]) for part in "Ymd"))
    except ValueError:
        return None


def around_the_date(uri: str, layout: str, date: dt.date) -> tuple[str, str] | None:
    """What stands before and behind the folder that `layout` gives a date, wherever the corpus' root is.

    >>> around_the_date("s3://calls/2026/11/21/support/a.flac", DEFAULT_LAYOUT, dt.date(2026, 11, 21))
    ('calls', 'support/a.flac')
    """
    pattern, path = _pattern(layout, ""), without_protocol(uri)
    day = (f"{date.year:04}", f"{date.month:02}", f"{date.day:02}")
    for found in re.finditer(pattern, path) if pattern else ():
        if found.group("Y", "m", "d") == day:
            return path[: found.start()], path[found.end() :]
    return None


@lru_cache(maxsize=16)
def _pattern(layout: str, root: str) -> str | None:
    """A regular expression for the folder that `layout` names; None where that is not one of a root and a day."""
    pattern = ""
    try:
        for text, name, style, _ in string.Formatter().parse(without_protocol(layout).rstrip("/") + "/"):
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


def without_protocol(uri: str) -> str:
    """s3 and s3a, file and none, are the same place."""
    return re.sub(r"^[a-z0-9+.-]+://", "", uri)


def look_at(uri: str, date: dt.date | None, patience: Patience = Patience()) -> AudioObject:
    """One object, as a listing would show it. Raises FileNotFoundError, or CorpusError where it cannot be looked at."""
    fs, path = connect(uri, patience)
    entry = patience.keep_trying(f"looking at {uri}", lambda: fs.info(path), CorpusError)
    when = modified(entry)
    uri = as_text(entry["name"]) if is_local(fs) else str(fs.unstrip_protocol(entry["name"]))
    return AudioObject(uri, etag(entry), size(entry), date or when.date(), when)


def modified(entry: dict[str, Any]) -> dt.datetime:
    """When a listing's entry was changed last, in UTC; the epoch where its store does not say."""
    for stamp in (entry[key] for key in _STAMPS if entry.get(key) is not None):
        if isinstance(stamp, dt.datetime):
            return stamp.astimezone(dt.UTC)
        if isinstance(stamp, int | float):
            return dt.datetime.fromtimestamp(stamp, dt.UTC)
    return dt.datetime.fromtimestamp(0, dt.UTC)


def size(entry: dict[str, Any]) -> int:
    return int(entry.get("size") or 0)


def etag(entry: dict[str, Any]) -> str:
    """What changes with an entry's content; of its time and size where the store has no such thing."""
    told = str(entry.get("ETag") or entry.get("etag") or entry.get("md5") or "").strip('"')
    return told or f"{int(modified(entry).timestamp() * 1e6):x}-{size(entry):x}"


def open_root(root: str, patience: Patience) -> tuple[Any, str]:
    fs, path = connect(root, patience)
    try:
        # Not `exists`: s3fs takes a bucket that does not answer for one that is not there.
        patience.keep_trying(f"looking at the corpus {root}", lambda: fs.info(path), CorpusError)
    except FileNotFoundError as error:
        raise CorpusError(
            f"there is no corpus at {root}; check --corpus, the bucket's name and AWS_ENDPOINT_URL"
        ) from error
    return fs, path


def connect(uri: str, patience: Patience = Patience()) -> tuple[Any, str]:
    """The file system (fsspec keeps one a store) and the path in it. Raises UsageError where there is no such protocol.

    Not `fsspec.core.url_to_fs`: it takes a name with `::` apart, as a chain of URLs.
    """
    protocol = uri.partition("://")[0] if is_url(uri) else "file"
    try:
        kind = fsspec.get_filesystem_class(protocol)
        options = kind._get_kwargs_from_urls(uri)
        path = str(kind._strip_protocol(uri))
        if protocol in {"s3", "s3a"}:
            from features.s3_keys import S3Keys

            return S3Keys(**s3fs_options(patience) | options), path
        return fsspec.filesystem(protocol, **options), as_on_disk(path) if protocol == "file" else path
    except (ValueError, ImportError) as error:
        raise UsageError(f"expected a path or a URL that fsspec knows; found {uri!r} ({error})") from error


def is_local(fs: Any) -> bool:
    """Whether a file system's paths are this machine's."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
