"""Pages of a listing from folders, of this machine or of a store that fsspec lists: a page a folder."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Any

import polars as pl

from features.corpus import object_frames
from features.corpus.filesystem import paths_on
from features.corpus.layout import Corpus
from features.corpus.names import is_hidden, is_lake, to_text
from features.corpus.unlisted_folders import unlisted_entry


def local_pages(fs: Any, path: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield files below `path`, a folder at a time; follow links but never in a circle, leave out pipes and devices."""
    own = set(map(os.path.realpath, paths_on(fs, corpus.own_folders)))
    waiting: list[tuple[str, frozenset[str]]] = [(path, frozenset())]
    while waiting:
        folder, parents = waiting.pop()
        real_path = os.path.realpath(folder)
        if real_path in parents or (parents and real_path in own):
            continue
        try:
            with os.scandir(folder) as listing:
                entries = [item for item in listing if corpus.hidden or not is_hidden(item.name)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if (unlisted := unlisted_entry(fs, folder, corpus, error)) is None:
                raise
            yield object_frames.from_entries([unlisted])
            continue
        if parents and is_lake({item.name for item in entries}):
            continue
        yield object_frames.from_entries(_describe(item) for item in entries if _is_file(item))
        folders = sorted((item.path for item in entries if _is_folder(item)), reverse=True)
        waiting.extend((name, parents | {real_path}) for name in folders)


def store_pages(fs: Any, path: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield files of a store below `path`."""
    own = set(paths_on(fs, corpus.own_folders))
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        try:
            listing = {_last_name(entry): entry for entry in fs.ls(folder, detail=True)}
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            if (unlisted := unlisted_entry(fs, folder, corpus, error)) is None:
                raise
            yield object_frames.from_entries([unlisted])
            continue
        # Some stores list a folder's own marker, too.
        entries = [listing[name] for name in sorted(listing) if corpus.hidden or not is_hidden(name)]
        entries = [entry for entry in entries if str(entry["name"]).rstrip("/") != folder.rstrip("/")]
        folders = [str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == "directory"]
        if folder != path and is_lake({name.rpartition("/")[2] for name in folders}):
            continue
        files = [entry for entry in entries if entry["type"] != "directory"]
        yield object_frames.from_entries({**entry, "name": str(fs.unstrip_protocol(entry["name"]))} for entry in files)
        waiting.extend(name for name in reversed(folders) if name not in own)


def _last_name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _is_folder(item: "os.DirEntry[str]") -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself is a file whose reading reports that
        return False


def _is_file(item: "os.DirEntry[str]") -> bool:
    """Tell whether an entry is to be read: no pipe, no device; what cannot be asked is, and its reading reports why."""
    status = None if _is_folder(item) else _stat(item)
    if status is None:
        return not _is_folder(item)
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _describe(item: "os.DirEntry[str]") -> dict[str, Any]:
    status, name = _stat(item), to_text(item.path)
    return {"name": name, "size": status.st_size, "mtime": status.st_mtime} if status else {"name": name}


def _stat(item: "os.DirEntry[str]") -> os.stat_result | None:
    """Stat an entry, a broken link itself; None where its folder lets nobody ask."""
    for follows in (True, False):
        with contextlib.suppress(OSError):
            return item.stat(follow_symlinks=follows)
    return None
