"""How a stage becomes a Prefect task: never cached, tried again only for what trying again may mend."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task

from data_contracts.errors import TransientError
from data_contracts.object_store.error_translation import translate_errors

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Decorates a stage. The cache is off because Prefect's default looks at the task's own lines alone.

    What Polars and deltalake raise of the store, wherever a stage collects or commits, is translated here.
    """

    @wraps(function)
    def in_our_words(*args: P.args, **kwargs: P.kwargs) -> R:
        with translate_errors(f"stage {function.__name__}"):
            return function(*args, **kwargs)

    decorate = task(
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 15],
        retry_condition_fn=_is_transient,
    )
    return decorate(in_our_words)


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001 - only asked whether to try again; Prefect raises it
        return False
    return False
