"""Environment variables of this process and its children, set once, before a library reads them."""

import logging
from collections.abc import MutableMapping

from flows import places

DEFAULTS = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6",  # two minutes, where a registry goes away in mid-run
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # models.registry.mlflow_api refuses a true here
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_LIBRARIES = ("AWS_", "AZURE_", "DASK_", "GOOGLE_", "MLFLOW_", "PREFECT_")


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what is missing, and replace what cannot work; what else a user has set stays."""
    for name in [name for name, value in environ.items() if not value and name.startswith(_LIBRARIES)]:
        del environ[name]  # `AWS_PROFILE=` in a compose file means unset; botocore seeks a profile without a name
    for line in places.settle(environ):
        logging.getLogger("undertone").warning(line)
    for name, value in DEFAULTS.items():
        environ.setdefault(name, value)
    _exempt_loopback_from_proxies(environ)


def _exempt_loopback_from_proxies(environ: MutableMapping[str, str]) -> None:
    """Add loopback to the hosts that are asked without a proxy, in both spellings: libraries read one or the other.

    Without a proxy nothing is set: a `no_proxy` alone would make Python pass over the proxies of macOS.
    """
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return
    given = {name: environ.get(name) or "" for name in _EXCEPTIONS}
    for name, hosts in given.items():
        listed = [host.strip() for host in (hosts or next(filter(None, given.values()), "")).split(",") if host.strip()]
        if "*" not in listed:
            environ[name] = ",".join([*listed, *(host for host in _LOOPBACK if host not in listed)])
