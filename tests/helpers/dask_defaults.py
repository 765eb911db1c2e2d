"""Defaults of Dask for a test: a run passes over what is set elsewhere, as by `~/.config/dask`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import distributed  # noqa: F401 - its defaults come first


@contextmanager
def dask_defaults(options: dict[str, Any]) -> Iterator[None]:
    """Let `options`, by dotted names, be what Dask comes with."""
    nested: dict[str, Any] = {}
    dask.config.set(options, config=nested)
    dask.config.defaults.insert(0, nested)  # of two, the first holds
    dask.config.refresh()
    try:
        yield
    finally:
        dask.config.defaults.remove(nested)
        dask.config.refresh()
