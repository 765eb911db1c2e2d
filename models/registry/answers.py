"""Words for the answers of a model registry: what MLflow raises, as errors of ours in one sentence."""

import functools
import time
from collections.abc import Callable
from ssl import SSLCertVerificationError
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from data_contracts.errors import CredentialsError, ModelError, TransientError, UndertoneError
from data_contracts.object_store.retry import RetryPolicy
from models.registry.addresses import without_password
from models.registry.mlflow_api import MlflowException, SQLAlchemyError, ask_once

P = ParamSpec("P")
R = TypeVar("R")

_START_PATIENCE_S, _START_TIMEOUT_S = 20.0, 5.0  # what Prefect's server is given
_GATEWAY_ALONE = {502, 503, 504}  # the server behind it does not answer
_MAX_WORDS = 300  # of what a server says

_NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # the second for a missing alias
_REFUSED = {"CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED", "PERMISSION_DENIED"}
_TRANSIENT = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED"}


class HasRegistry(Protocol):
    """Anything that asks a registry."""

    uri: str


Self = TypeVar("Self", bound=HasRegistry)


def in_our_words(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """Wrap a method that asks MLflow, so that it raises errors of ours."""

    @functools.wraps(method)
    def ask(registry: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(registry, *args, **kwargs)
        except MlflowException as error:
            raise translate(error, registry.uri) from error
        except (SQLAlchemyError, ImportError) as error:
            raise ModelError(
                f"expected the model registry {without_password(registry.uri)}; found that it cannot be used: "
                f"{reason(error)}; look at the database and, where it is no SQLite, install its driver"
            ) from error

    return ask


def require_answer(registry: str, retry_policy: RetryPolicy) -> None:
    """Ask a server whether it is there, before MLflow does, which asks for minutes. Any answer will do.

    Raises TransientError after 20 s without one, or after the patience of `retry_policy` where that is less, and
    ModelError where no patience helps.
    """
    patience = RetryPolicy(min(retry_policy.total_s, _START_PATIENCE_S), min(retry_policy.timeout_s, _START_TIMEOUT_S))
    started, found = time.monotonic(), ""
    for _ in patience.attempts():
        try:
            answer = ask_once(registry, "/health", timeout_s=patience.timeout_s)
        except MlflowException as error:
            if any(isinstance(cause, SSLCertVerificationError) for cause in _causes(error)):
                raise ModelError(
                    f"expected a certificate that this machine trusts of the model registry "
                    f"{without_password(registry)}; found {reason(error)}; set MLFLOW_TRACKING_SERVER_CERT_PATH"
                ) from error
            found = reason(error)
        else:
            if answer.status_code not in _GATEWAY_ALONE:
                return
            found = f"{answer.status_code} {answer.reason}"
    raise TransientError(
        f"expected an answer of the model registry {without_password(registry)}; found none in "
        f"{time.monotonic() - started:.0f} s: {found}; start the server, or correct UNDERTONE_REGISTRY or "
        "MLFLOW_TRACKING_URI"
    )


def is_not_found(error: MlflowException) -> bool:
    """Return whether the registry answered that it holds no such thing."""
    return error.error_code in _NOT_FOUND


def translate(error: MlflowException, registry: str) -> UndertoneError:
    """Return what `registry` answered as an error of ours."""
    expected, found = f"expected an answer of the model registry {without_password(registry)}", reason(error)
    if error.error_code in _REFUSED:
        return CredentialsError(
            f"{expected}; found that it refuses this run: {found}; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if error.error_code in _TRANSIENT:
        return TransientError(f"{expected}; found {found}; look at the server, or correct UNDERTONE_REGISTRY")
    return ModelError(f"{expected}; found {found}; check UNDERTONE_REGISTRY")


def reason(error: BaseException) -> str:
    """Return what went wrong on one line: the system's words where a request failed for them, else the error's own."""
    found = next((cause for cause in reversed(_causes(error)) if isinstance(cause, OSError)), error)
    words = getattr(found, "strerror", None) or str(found) or type(found).__name__
    return " ".join(words.split())[:_MAX_WORDS]


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it, the first cause last."""
    below = error.__cause__ or error.__context__
    return [error, *(_causes(below) if below else [])]
