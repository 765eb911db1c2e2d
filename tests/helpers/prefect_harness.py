"""Prefect's test harness, one server for all of pytest's worker processes: it takes ten seconds of a core to start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from helpers.once import serve_once


@contextmanager
def shared_prefect(folders: pytest.TempPathFactory) -> Iterator[None]:
    """Flows of this process run against it."""
    with (
        serve_once(folders, "prefect", _serve) as (url, started),
        temporary_settings({} if started else {PREFECT_API_URL: url}),
    ):
        yield


@contextmanager
def _serve() -> Iterator[str]:
    with mock.patch.dict(os.environ, PREFECT_API_BLOCKS_REGISTER_ON_START="false"), prefect_test_harness(240):
        yield str(PREFECT_API_URL.value())
