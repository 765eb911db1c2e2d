"""The corpus: listing its objects by date, by last-modified or from a manifest. It is only ever read."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from data_contracts.errors import CorpusError, UsageError
from data_contracts.lake import translated
from data_contracts.records import AudioObject

DEFAULT_LAYOUT = "{root}/{date:%Y/%m/%d}/"
_STAMPS = ("LastModified", "last_modified", "mtime", "updated", "created")


@dataclass(frozen=True)
class Corpus:
    """Where the audio is: `layout` is a template with `{root}` and `{date:…}`, or the word `modified`."""

    root: str
    layout: str = DEFAULT_LAYOUT
    manifest: str | None = None

    def __post_init__(self) -> None:
        if not self.root and not self.manifest:
            raise UsageError("where is the audio? Found no corpus; give --corpus DIR_OR_URL or set UNDERTONE_CORPUS")
        if self.layout != "modified" and not re.search(r"\{date(:[^}]*)?\}", self.layout):
            raise UsageError(f"layout: expected a template with {{date:…}}, or 'modified'; found {self.layout!r}")


def list_objects(corpus: Corpus, dates: Sequence[dt.date] | None) -> Iterator[AudioObject]:
    """The objects of `dates` (all dates where None), a page at a time. Raises CorpusError where the root is not there.

    A date template lists only the folders of its dates; `modified` lists the root and keeps what was last modified on
    one of them. Without dates, a template lists the whole root and reads each object's date from its path.
    """
    if corpus.manifest:
        from features.manifest import manifest_objects

        yield from manifest_objects(corpus.manifest, dates, layout=corpus.layout, root=corpus.root)
        return
    fs, _ = _open(corpus.root)
    if corpus.layout == "modified" or dates is None:
        wanted = None if dates is None else set(dates)
        for entry in _entries(fs, corpus.root):
            found = to_object(fs, entry, date_in_path(fs.unstrip_protocol(entry["name"]), corpus.layout, corpus.root))
            if wanted is None or found.date in wanted:
                yield found
        return
    for date in dates:
        prefix = corpus.layout.format(root=corpus.root.rstrip("/"), date=date)
        yield from (to_object(fs, entry, date) for entry in _entries(fs, prefix))


def date_in_path(uri: str, layout: str, root: str) -> dt.date | None:
    """The date that `layout` puts into a path, or None where the path (or the layout) has none.

    >>> date_in_path("s3://calls/2026/11/21/a.flac", DEFAULT_LAYOUT, "s3://calls")
    datetime.date(2026, 11, 21)
    """
    match = re.search(r"\{date(?::([^}]*))?\}", layout)
    if not match:
        return None
    style = match.group(1) or "%Y-%m-%d"
    digits = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})"}
    before = layout[: match.start()].replace("{root}", root.rstrip("/"))
    pattern = re.escape(before) + re.sub(r"%[Ymd]", lambda m: digits[m.group()], re.escape(style))
    found = re.search(pattern.removeprefix("file://"), uri)
    if not found or set(found.groupdict()) != {"Y", "m", "d"}:
        return None
    try:
        return dt.date(*(int(found[part]) for part in "Ymd"))
    except ValueError:
        return None


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


def _uri(fs: Any, name: str) -> str:
    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    return name if local else str(fs.unstrip_protocol(name))


def _modified(entry: dict[str, Any]) -> dt.datetime:
    for stamp in (entry[key] for key in _STAMPS if entry.get(key) is not None):
        if isinstance(stamp, dt.datetime):
            return stamp.astimezone(dt.UTC)
        if isinstance(stamp, int | float):
            return dt.datetime.fromtimestamp(stamp, dt.UTC)
    return dt.datetime.fromtimestamp(0, dt.UTC)


def _open(root: str) -> tuple[Any, str]:
    try:
        fs, path = fsspec.core.url_to_fs(root, **s3_settings(root))
    except (ValueError, ImportError) as error:
        raise UsageError(f"corpus: expected a folder or a URL that fsspec knows; found {root!r} ({error})") from error
    with translated(f"looking at the corpus {root}"):
        try:
            there = fs.exists(path)
        except FileNotFoundError:
            there = False
    if not there:
        raise CorpusError(f"there is no corpus at {root}; check --corpus, the bucket's name and AWS_ENDPOINT_URL")
    return fs, path


def s3_settings(uri: str) -> dict[str, Any]:
    """s3fs must not answer from yesterday's listing."""
    return {"use_listings_cache": False} if fsspec.utils.get_protocol(uri) in {"s3", "s3a"} else {}


def _entries(fs: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """Files below `prefix`, recursively, in a stable order within a page; a prefix that is not there holds none."""
    path = fs._strip_protocol(prefix)
    with translated(f"listing {prefix}"):
        pages = _s3_pages(fs, path) if hasattr(fs, "call_s3") else _folders(fs, path)
        for page in pages:
            yield from sorted(page, key=lambda entry: str(entry["name"]))


def _s3_pages(fs: Any, path: str) -> Iterator[list[dict[str, Any]]]:
    """A thousand objects a request, never the whole listing in memory."""
    bucket, _, key = path.partition("/")
    request = {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}
    while True:
        page = fs.call_s3("list_objects_v2", **request)
        yield [
            {**item, "name": f"{bucket}/{item['Key']}", "size": item["Size"]}
            for item in page.get("Contents", ())
            if not item["Key"].endswith("/")
        ]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _folders(fs: Any, path: str) -> Iterator[Iterable[dict[str, Any]]]:
    for _, folders, files in fs.walk(path, detail=True):
        for name in [name for name in folders if name.startswith(".")]:
            del folders[name]
        yield [entry for name, entry in files.items() if name and not name.startswith(".")]
