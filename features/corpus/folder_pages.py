"""Pages of a listing from folders, of this machine or of a store that fsspec walks: a page a folder."""

import os
import stat
from collections.abc import Iterator
from typing import Any

import polars as pl

from features.corpus import object_frames
from features.corpus.layout import Corpus
from features.corpus.names import is_hidden, is_lake, to_text


def local_pages(path: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield files below `path`, a folder at a time; follow links but never in a circle, leave out pipes and devices."""
    own = {os.path.realpath(folder) for folder in corpus.own_folders}
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
        if parents and is_lake({item.name for item in entries}):
            continue
        found = [(item.path, _stat(item)) for item in entries if not item.is_dir()]
        yield object_frames.from_entries(
            {"name": to_text(name), "size": status.st_size, "mtime": status.st_mtime}
            for name, status in found
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
        )
        folders = sorted((item.path for item in entries if item.is_dir()), reverse=True)
        waiting.extend((name, parents | {real_path}) for name in folders)


def store_pages(fs: Any, path: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield files of a store below `path`, as fsspec walks them."""
    own = {str(fs._strip_protocol(folder)).rstrip("/") for folder in corpus.own_folders}
    for parent, folders, files in fs.walk(path, detail=True):
        for name in [name for name in folders if _is_left_out(name, corpus) or f"{parent.rstrip('/')}/{name}" in own]:
            del folders[name]
        if is_lake(set(folders)) and parent.rstrip("/") != path.rstrip("/"):
            folders.clear()
            continue
        visible = [entry for name, entry in files.items() if name and not _is_left_out(name, corpus)]
        yield object_frames.from_entries(
            {**entry, "name": str(fs.unstrip_protocol(entry["name"]))} for entry in visible
        )


def _is_left_out(name: str, corpus: Corpus) -> bool:
    return not corpus.hidden and is_hidden(name)


def _stat(item: "os.DirEntry[str]") -> os.stat_result:
    """Stat an entry. A broken link is listed as it is: reading it will report that."""
    try:
        return item.stat()
    except OSError:
        return item.stat(follow_symlinks=False)
