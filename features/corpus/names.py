"""Names in a corpus: hidden and system files, and file names that are not UTF-8."""

import os
import re

_SYSTEM = (
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("lost+found", "__macosx", "icon\r", "network trash folder", "temporary items"),
    *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),
    *("_success", "undertone.toml"),
)
_UNFINISHED = ("part", "partial", "filepart", "crdownload", "opdownload", "aria2", "!sync", "tmp")
_ENDINGS = (*(f".{ending}" for ending in _UNFINISHED), "@synoeastream", "@synoresource", "_$folder$")

HIDDEN = (
    rf"(?i)(?:^|/)(?:\.(?:[^./]|\.[^/])|~\$|~syncthing~|(?:{'|'.join(map(re.escape, _SYSTEM))})(?:/|$))"
    rf"|(?:{'|'.join(map(re.escape, _ENDINGS))})(?:/|$)"
)
"""Pattern of a path with a part that is hidden (a dot before its name; `.` and `..`, plain names in an object store, do
not count), that an operating system, a NAS or a program of ours puts there, or that a transfer has not finished."""

_LAKE = frozenset({"analytics", "features", "registry", "staging", "validation"})
_MIN_OF_LAKE = 3


def is_hidden(path: str) -> bool:
    return re.search(HIDDEN, path) is not None


def is_lake(names: set[str]) -> bool:
    """Tell whether a folder with these names is a lake of Undertone's.

    >>> is_lake({"features", "registry", "staging"}), is_lake({"features", "calls"})
    (True, False)
    """
    return len(_LAKE & names) >= _MIN_OF_LAKE


def to_text(name: str) -> str:
    r"""Return a file's name as tables can hold it: `\xe9` for a byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def to_disk_name(path: str) -> str:
    """Reverse `to_text`, where no file has the name itself."""
    if "\\x" not in path or os.path.lexists(path):
        return path
    raw = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
    return os.fsdecode(raw) if os.path.lexists(raw) else path
