"""Addresses of model registries: MLflow servers, and databases that hold what a server would."""

import re
from urllib.parse import urlsplit

from data_contracts.errors import UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+]+(?=:)")
_DATABRICKS = {"databricks", "databricks-uc", "uc"}
_DATABASE = re.compile(r"sqlite(\+\w+)?:///.+|(postgresql|mysql|mssql)(\+\w+)?://.+")


def registry_address(uri: str, named_by: str) -> str:
    """Return the one spelling of a registry's address. Raises UsageError where there can be none."""
    uri = _SCHEME.sub(lambda scheme: scheme[0].lower(), uri.strip(), count=1)
    if not _is_server(uri) and not _DATABASE.fullmatch(uri):
        raise UsageError(
            "expected an MLflow server (http://HOST:PORT) or database (sqlite:///FILE, postgresql://…, mysql://…) as "
            f"the model registry; found {without_password(uri)!r} in {named_by}; correct it, or take it away for a "
            "registry beside the lake"
        )
    return uri


def is_file_store(uri: str) -> bool:
    """Return whether it is a folder of runs, as notebooks set it: MLflow registers no models there any more.

    >>> [is_file_store(uri) for uri in ("./mlruns", "mlruns", "file:///home/ada/mlruns", "http://mlruns", "databricks")]
    [True, True, True, False, False]
    """
    return uri.startswith("file:") or (bool(uri) and ":" not in uri and uri not in _DATABRICKS)


def without_password(uri: str) -> str:
    """Return the address as people may read it.

    >>> without_password("postgresql://ada:secret@db/mlflow")
    'postgresql://ada:…@db/mlflow'
    """
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:…@", uri)


def _is_server(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large
        return False
