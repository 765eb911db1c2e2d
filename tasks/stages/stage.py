"""Decorators that make a stage a Prefect task: never cached, retried only after a transient error."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task

from data_contracts.errors import TransientError
from data_contracts.object_store.error_translation import translate_errors

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Decorate a stage that Prefect shows under the function's name.

    The cache is off because Prefect's default looks at the task's own lines alone. Errors that Polars and deltalake
    raise of the store, wherever a stage collects or commits, are translated here.
    """
    return _as_task(function, name=function.__name__)


def stage_named(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Decorate a stage that Prefect shows under `name`: deployments and their histories know it by that."""
    return partial(_as_task, name=name)


def _as_task(function: Callable[P, R], *, name: str) -> Task[P, R]:
    @wraps(function)
    def with_translated_errors(*args: P.args, **kwargs: P.kwargs) -> R:
        with translate_errors(f"stage {name}"):
            return function(*args, **kwargs)

    decorate = task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 15],
        retry_condition_fn=_is_transient,
    )
    return decorate(with_translated_errors)


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001 - only asked whether to try again; Prefect raises it
        return False
    return False
