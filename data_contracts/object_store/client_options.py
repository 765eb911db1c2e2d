"""Options of the S3 clients (Polars, deltalake, s3fs) beside a URL: endpoint, time-outs, retries."""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import botocore.session
import fsspec

from data_contracts.object_store.retry import RetryPolicy

_S3 = {"s3", "s3a"}
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "HOME")
_MAX_BACKOFF_S = 5


def storage_options(uri: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the options with which Polars and Delta reach S3 at `uri`, from the usual AWS settings."""
    if fsspec.utils.get_protocol(uri) not in _S3:
        return {}
    profile = _profile(tuple(os.environ.get(name) for name in _PROFILES))
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or profile.get("region")
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or profile.get("endpoint_url")
    options = {"aws_region": str(region or "us-east-1")}
    if endpoint:
        options |= {"aws_endpoint_url": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if key in environ:
            options[key.lower()] = environ[key]
    return options


@lru_cache(maxsize=8)  # a session is made in 10 ms, and every table that is opened asks
def _profile(_environment: tuple[str | None, ...]) -> dict[str, Any]:
    return dict(botocore.session.Session().get_scoped_config())


def delta_retry_options(uri: str, retry_policy: RetryPolicy) -> dict[str, str]:
    """Return deltalake's retry options, all texts. Its defaults, ten tries, end after two seconds."""
    if fsspec.utils.get_protocol(uri) not in _S3:
        return {}
    return {
        "timeout": f"{_milliseconds(retry_policy.timeout_s)}ms",
        "connect_timeout": f"{_milliseconds(min(retry_policy.timeout_s, 10.0))}ms",
        "max_retries": "1000",
        "retry_timeout": f"{_milliseconds(retry_policy.total_s)}ms",
        "backoff_config.max_backoff": f"{_MAX_BACKOFF_S}s",
    }


def polars_retry_options(uri: str, retry_policy: RetryPolicy) -> dict[str, Any]:
    """Return Polars' retry options, numbers under the same names. It runs them twice before it gives up."""
    if fsspec.utils.get_protocol(uri) not in _S3:
        return {}
    return {
        "timeout": f"{_milliseconds(retry_policy.timeout_s)}ms",
        "connect_timeout": f"{_milliseconds(min(retry_policy.timeout_s, 10.0))}ms",
        "max_retries": 1000,
        "retry_timeout_ms": _milliseconds(retry_policy.total_s / 2),
        "retry_max_backoff_ms": 1000 * _MAX_BACKOFF_S,
    }


def s3fs_options(retry_policy: RetryPolicy, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return s3fs' arguments. They hold the endpoint, because s3fs caches a connection by its arguments."""
    return {
        "use_listings_cache": False,  # no answers from yesterday's listing
        "max_concurrency": 1,  # more, and every read asks for the size first
        "endpoint_url": environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"),
        "config_kwargs": {
            "connect_timeout": min(retry_policy.timeout_s, 10.0),
            "read_timeout": retry_policy.timeout_s,
            "retries": {"total_max_attempts": 1},  # `data_contracts.object_store.s3` tries again
            "max_pool_connections": 32,
            "user_agent": "undertone",  # botocore's own, put together anew for each request, is a tenth of its cost
        },
    }


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))
