"""Content hashes that name configurations, shards and weights."""

import dataclasses
import hashlib
import json
from typing import Any


def digest(data: bytes, length: int = 32) -> str:
    """Return the first `length` hex digits of the SHA-256 of `data`.

    >>> digest(b"")
    'e3b0c44298fc1c149afbf4c8996fb924'
    """
    return hashlib.sha256(data).hexdigest()[:length]


def fingerprint(*parts: Any, length: int = 12) -> str:
    """Hash `parts` (dataclasses, numbers, strings, lists, dicts of them); equal content has one hash on any machine.

    >>> fingerprint({"b": 1, "a": 2.5}) == fingerprint({"a": 2.5, "b": 1})
    True
    """
    text = json.dumps(parts, default=_encode, sort_keys=True, separators=(",", ":"))
    return digest(text.encode(), length)


def _encode(part: Any) -> Any:
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        # A class or field renamed is another feature version: all audio is read again, the shipped models do not fit.
        # To move it changes nothing. tests/flows/test_lake_of_earlier_version.py holds the versions of commit 417aaf7.
        return {"__type__": type(part).__name__, **dataclasses.asdict(part)}
    raise TypeError(f"cannot fingerprint {type(part).__name__}: expected dataclasses, numbers, strings, lists or dicts")
