"""One spelling an address, of a folder or a URL, so that the same place has the same name on every night."""

import os
import re
import unicodedata
from pathlib import Path

from data_contracts.errors import UsageError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE_URL = re.compile(r"(?:file|local):(?://(?:localhost(?=/))?)?", re.IGNORECASE)
_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs"}
_STORES = r"(?:s3[an]?|gs|gcs|az|abfss?|adl|wasbs?|oss|hdfs|https?|ftp)"
_LOOKS_LIKE_URL = re.compile(rf"{_STORES}:|{_STORES}//|[a-z][a-z0-9+.-]+:(?:[\\/]|$)|:/", re.IGNORECASE)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def is_url(address: str) -> bool:
    """Tell whether `address` begins with a protocol: a key may have `://` anywhere.

    >>> is_url("s3://calls/a.flac"), is_url("2026/11/21/http://a.flac")
    (True, False)
    """
    return _URL.match(address) is not None


def protocol_of(address: str) -> str:
    """Return the protocol of a URL in lower case, `file` for a path.

    >>> protocol_of("S3://calls"), protocol_of("/calls")
    ('s3', 'file')
    """
    found = _URL.match(address)
    protocol = found[1].lower() if found else "file"
    return "file" if protocol == "local" else protocol


def normalize(address: str) -> str:
    """Return the one spelling of what a person wrote: an absolute path, or a URL with its protocol in lower case.

    Of a path `.`, `..`, `//`, `~` and `file:` are resolved, and links are kept; of a URL only the ends are trimmed,
    because a store's keys are literal. Raises UsageError for what looks like a URL, or a path of Windows, and is none.

    >>> normalize("/data/x/../corpus/."), normalize("S3://calls/"), normalize("file:///data//corpus")
    ('/data/corpus', 's3://calls', '/data/corpus')
    """
    trimmed = address.strip()
    if _FILE_URL.match(trimmed):
        return _path_of_file_url(trimmed)
    if is_url(trimmed):
        return _trim_url(trimmed)
    path = address if os.path.lexists(address) else trimmed  # a folder's name may end with a space
    _check_path(path)
    try:
        return normal_path(str(Path(path).expanduser()))
    except RuntimeError as error:
        raise UsageError(
            f"{path!r}: expected the home of a user of this machine, found none; write the whole path"
        ) from error


def normal_uri(uri: str) -> str:
    """Return the one spelling of a program's URI or absolute path; of anything else the same text.

    >>> normal_uri("file:///calls/./a.flac"), normal_uri("S3://calls/./a.flac")
    ('/calls/a.flac', 's3://calls/./a.flac')
    """
    protocol = protocol_of(uri)
    if protocol != "file":
        return protocol + uri[len(protocol) :]
    path = _FILE_URL.sub("", uri, count=1) if is_url(uri) else uri
    return normal_path(path) if path.startswith("/") else uri


def spellings(path: str) -> list[str]:
    r"""Return how a path of somebody's list may be spelled on disk: as it is, then with slashes, then by Unicode.

    >>> spellings("a/b.wav"), spellings(r"a\b.wav")
    (['a/b.wav'], ['a\\b.wav', 'a/b.wav'])
    """
    slashed = path.replace("\\", "/")
    return list(dict.fromkeys([path, slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))]))


def normal_path(path: str) -> str:
    """Return an absolute path without `.`, `..` and `//`. A link before `..` is followed, as the system does.

    >>> normal_path("//data/./a/../b/")
    '/data/b'
    """
    found = Path("/")
    for part in (path if path.startswith("/") else f"{Path.cwd()}/{path}").split("/"):
        if part == "..":
            found = (found.resolve() if found.is_symlink() else found).parent
        elif part not in {"", "."}:
            found /= part
    return str(found)


def _trim_url(url: str) -> str:
    protocol = protocol_of(url)
    place = url.partition("://")[2]
    if protocol in _BUCKETS and (not place or place.startswith("/")):
        meant = place.strip("/") or "bucket/prefix"
        raise UsageError(f"{url!r}: expected a bucket behind {protocol}://; did you mean {protocol}://{meant}?")
    return f"{protocol}://{place.rstrip('/')}"


def _path_of_file_url(url: str) -> str:
    path = _FILE_URL.sub("", url, count=1)
    if not path.startswith("/"):
        raise UsageError(f"{url!r}: expected a whole path behind file://; did you mean file:///{path or 'folder'}?")
    return normal_path(path)


def _check_path(path: str) -> None:
    """Raise UsageError for what looks like a URL, or a path of Windows."""
    if _WINDOWS.match(path):
        raise UsageError(
            f"{path!r}: expected a folder or a URL, found a path of Windows; write it as this machine sees it, "
            "under WSL /mnt/c/…"
        )
    if _LOOKS_LIKE_URL.match(path):
        raise UsageError(
            f"{path!r}: expected a folder or a URL, found neither; did you mean {_nearest_url(path)}? "
            f"A folder of that name is ./{path}"
        )


def _nearest_url(path: str) -> str:
    r"""Return the URL that somebody may have meant.

    >>> _nearest_url("s3:/bucket/prefix"), _nearest_url("S3//bucket"), _nearest_url(r"gs:\\bucket\a")
    ('s3://bucket/prefix', 's3://bucket', 'gs://bucket/a')
    """
    found = re.match(r"([a-z0-9+.-]*)[:/\\]+", path, re.IGNORECASE)
    protocol = found[1].lower() if found else ""
    place = path[found.end() if found else 0 :].replace("\\", "/")
    return f"{protocol or 's3'}://{place or 'bucket/prefix'}"
