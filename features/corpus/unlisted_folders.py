"""Folders that cannot be looked into: an entry of a listing each, whose reading says why.

Its URI ends with a slash, so that it is dated as its files are.
"""

import errno
import os
from pathlib import Path
from typing import Any

from data_contracts.errors import CorpusError
from data_contracts.object_store.retry import RetryPolicy
from features.corpus.filesystem import is_local
from features.corpus.layout import Corpus
from features.corpus.names import to_text

UNLISTED = "unlisted"
"""Etag of a folder that could not be listed. It stays the same, so that after three nights it is left alone."""

_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # no folder's fault


def look_into(fs: Any, path: str) -> None:
    """Ask for the first name in a folder. Raises what its file system or store raises."""
    if hasattr(fs, "call_s3"):
        bucket, _, folder = path.rstrip("/").partition("/")
        fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{folder}/" if folder else "", MaxKeys=1)
    elif is_local(fs):
        with os.scandir(path) as entries:
            next(entries, None)
    else:
        fs.ls(path)


def unlisted_entry(fs: Any, path: str, corpus: Corpus, error: BaseException | None) -> dict[str, Any] | None:
    """Return the entry of a folder whose listing failed with `error`.

    None where the fault is not the folder's: another error, or the corpus' root cannot be listed either.
    """
    if not isinstance(error, PermissionError) and not (
        is_local(fs) and isinstance(error, OSError) and error.errno not in _OURS
    ):
        return None
    root = str(fs._strip_protocol(corpus.root)).rstrip("/")
    if path.rstrip("/") == root or not _can_be_listed(fs, root, corpus.retry_policy):
        return None
    if not is_local(fs):
        return {"name": f"{fs.unstrip_protocol(path.rstrip('/'))}/", "size": 0, "ETag": UNLISTED}
    return {"name": f"{to_text(path.rstrip('/'))}/", "size": 0, "ETag": UNLISTED, "mtime": _mtime(path)}


def _can_be_listed(fs: Any, path: str, retry_policy: RetryPolicy) -> bool:
    try:
        retry_policy.call(f"listing {path}", lambda: look_into(fs, path), CorpusError)
    except CorpusError:
        return False
    return True


def _mtime(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
