"""Words for the answers of a model registry: what MLflow raises, as errors of ours in one sentence."""

import functools
import re
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from data_contracts.errors import CredentialsError, ModelError, TransientError, UndertoneError
from models.registry.mlflow_api import MlflowException

P = ParamSpec("P")
R = TypeVar("R")

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

    return ask


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
        return TransientError(f"{expected}; found none: {found}; look at the server, or correct UNDERTONE_REGISTRY")
    return ModelError(f"{expected}; found {found}; check UNDERTONE_REGISTRY")


def reason(error: BaseException) -> str:
    """Return what went wrong on one line: the system's words where a request failed for them, else the error's own."""
    found, cause = error, error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
        found = cause if isinstance(cause, OSError) else found
    words = getattr(found, "strerror", None) or str(found) or type(found).__name__
    return " ".join(words.split())[:_MAX_WORDS]


def without_password(uri: str) -> str:
    """Return the address as people may read it.

    >>> without_password("postgresql://ada:secret@db/mlflow")
    'postgresql://ada:…@db/mlflow'
    """
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:…@", uri)
