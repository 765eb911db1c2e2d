"""The corpus: listing its objects by date, by last-modified or from a manifest. It is only ever read."""

import datetime as dt
import os
import re
import stat
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import fsspec

from data_contracts.errors import CorpusError, UsageError
from data_contracts.foreign import translated
from data_contracts.patience import Patience
from data_contracts.records import AudioObject
from data_contracts.storage import s3fs_options
from features.names import as_on_disk, as_text, is_hidden, is_url

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


def list_objects(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[AudioObject]:
    """The objects of `dates` (all dates where None), a page at a time. Raises CorpusError where the root is not there.

    A date template lists only the folders of its dates; `modified` lists the root and keeps what was last modified on
    one of them. Without dates, a template lists the whole root and reads each object's date from its path.
    """
    if corpus.manifest:
        from features.manifest import manifest_objects

        yield from manifest_objects(corpus.manifest, dates, layout=corpus.layout, root=corpus.root)
        return
    fs, root = _open(corpus.root, corpus.patience)
    if corpus.layout == "modified" or dates is None:
        wanted = None if dates is None else set(dates)
        for entry in _entries(fs, corpus.root, corpus.patience):
            found = to_object(fs, entry, date_in_path(entry["name"], corpus.layout, root))
            if wanted is None or found.date in wanted:
                yield found
        return
    for date in dates:
        prefix = corpus.layout.format(root=corpus.root.rstrip("/"), date=date)
        yield from (to_object(fs, entry, date) for entry in _entries(fs, prefix, corpus.patience))


def date_in_path(uri: str, layout: str, root: str) -> dt.date | None:
    """The date that `layout` puts into a path, or None where the path (or the layout) has none.

    >>> date_in_path("s3://calls/2026/11/21/a.flac", DEFAULT_LAYOUT, "s3://calls")
    datetime.date(2026, 11, 21)
    """
    pattern = _pattern(layout, _without_protocol(root.rstrip("/")))
    found = re.search(pattern, _without_protocol(uri)) if pattern else None
    if not found:
        return None
    try:
        return dt.date(*(int(found[part]) for part in "Ymd"))
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _pattern(layout: str, root: str) -> str | None:
    """A regular expression for the folder that `layout` names; None where that is not one of a root and a day."""
    pattern = ""
    try:
        for text, name, style, _ in string.Formatter().parse(_without_protocol(layout).rstrip("/") + "/"):
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


def _without_protocol(uri: str) -> str:
    """s3 and s3a, file and none, are the same place."""
    return re.sub(r"^[a-z0-9+.-]+://", "", uri)


def to_object(fs: Any, entry: dict[str, Any], date: dt.date | None) -> AudioObject:
    """An object from a listing's entry; without a date of its own it gets the day of its last modification (UTC)."""
    modified = _modified(entry)
    size = int(entry.get("size") or 0)
    etag = str(entry.get("ETag") or entry.get("etag") or entry.get("md5") or "").strip('"')
    return AudioObject(
        uri=_uri(fs, entry["name"]),
        etag=etag or f"{int(modified.timestamp() * 1e6):x}-{size:x}",
        bytes=size,
        date=date or modified.date(),
        modified=modified,
    )


def look_at(uri: str, date: dt.date | None, patience: Patience = Patience()) -> AudioObject:
    """One object, as a listing would show it. Raises FileNotFoundError, or CorpusError where it cannot be looked at."""
    fs, path = connect(uri, patience)
    return to_object(fs, patience.keep_trying(f"looking at {uri}", lambda: fs.info(path), CorpusError), date)


def _uri(fs: Any, name: str) -> str:
    return as_text(name) if is_local(fs) else str(fs.unstrip_protocol(name))


def _modified(entry: dict[str, Any]) -> dt.datetime:
    for stamp in (entry[key] for key in _STAMPS if entry.get(key) is not None):
        if isinstance(stamp, dt.datetime):
            return stamp.astimezone(dt.UTC)
        if isinstance(stamp, int | float):
            return dt.datetime.fromtimestamp(stamp, dt.UTC)
    return dt.datetime.fromtimestamp(0, dt.UTC)


def _open(root: str, patience: Patience) -> tuple[Any, str]:
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


def _entries(fs: Any, prefix: str, patience: Patience) -> Iterator[dict[str, Any]]:
    """Files below `prefix`, recursively, in a stable order within a page; a prefix that is not there holds none."""
    path = fs._strip_protocol(prefix)
    with translated(f"listing {prefix}", CorpusError):
        if hasattr(fs, "call_s3"):
            pages = _s3_pages(fs, path, patience)
        else:
            pages = _local_folders(path) if is_local(fs) else _folders(fs, path)
        for page in pages:
            yield from sorted(page, key=lambda entry: str(entry["name"]))


def is_local(fs: Any) -> bool:
    """Whether a file system's paths are this machine's."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _s3_pages(fs: Any, path: str, patience: Patience) -> Iterator[list[dict[str, Any]]]:
    """A thousand objects a request, never the whole listing in memory."""
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    request = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = patience.keep_trying(
            f"listing s3://{path}", partial(fs.call_s3, "list_objects_v2", **request), CorpusError
        )
        yield [
            {**item, "name": f"{bucket}/{item['Key']}", "size": item["Size"]}
            for item in page.get("Contents", ())
            if not item["Key"].endswith("/") and not is_hidden(item["Key"].removeprefix(prefix))
        ]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _local_folders(path: str, above: tuple[str, ...] = ()) -> Iterator[list[dict[str, Any]]]:
    """Files, a folder at a time; links are followed but never in a circle, pipes and devices are left out."""
    place = os.path.realpath(path)
    if place in above:
        return
    try:
        with os.scandir(path) as listing:
            entries = sorted((item for item in listing if not is_hidden(item.name)), key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    found = [(item.path, _status(item)) for item in entries if not item.is_dir()]
    yield [
        {"name": name, "size": status.st_size, "mtime": status.st_mtime}
        for name, status in found
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
    ]
    for item in entries:
        if item.is_dir():
            yield from _local_folders(item.path, (*above, place))


def _status(item: "os.DirEntry[str]") -> os.stat_result:
    """A link that leads nowhere is listed as it is: reading it will say so."""
    try:
        return item.stat()
    except OSError:
        return item.stat(follow_symlinks=False)


def _folders(fs: Any, path: str) -> Iterator[list[dict[str, Any]]]:
    for _, folders, files in fs.walk(path, detail=True):
        for name in [name for name in folders if is_hidden(name)]:
            del folders[name]
        yield [entry for name, entry in files.items() if name and not is_hidden(name)]
