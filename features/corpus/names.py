"""Names in a corpus: hidden files, and file names that are not UTF-8."""

import os
import re

HIDDEN = r"(?:^|/)\.(?:[^./]|\.[^/])"
"""Pattern of a path part that begins with a dot; `.` and `..`, plain names in an object store, do not count."""


def is_hidden(path: str) -> bool:
    return re.search(HIDDEN, path) is not None


def to_text(name: str) -> str:
    r"""Return a file's name as tables can hold it: `\xe9` for a byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def to_disk_name(path: str) -> str:
    """Reverse `to_text`, where no file has the name itself."""
    if "\\x" not in path or os.path.lexists(path):
        return path
    raw = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
    return os.fsdecode(raw) if os.path.lexists(raw) else path
