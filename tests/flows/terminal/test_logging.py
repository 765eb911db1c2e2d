"""Log output of libraries: a successful run ends without a traceback."""

import logging
import os
import warnings

import pytest

from flows.terminal.logging import quieten


@pytest.fixture
def _undone(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    logger = logging.getLogger("tornado.application")
    before, logger.filters[:] = logger.filters[:], []  # commands of other tests have left theirs
    with warnings.catch_warnings():
        yield
    logger.filters[:] = before


def _fails_with(error):
    try:
        raise error
    except type(error):
        logging.getLogger("tornado.application").error("Exception in callback", exc_info=True)


@pytest.mark.usefixtures("_undone")
def test_a_cluster_that_ends_slowly_is_no_error(caplog):
    quieten(debug=False)
    import distributed  # noqa: F401 - it sets the levels of its loggers

    _fails_with(TimeoutError())
    assert caplog.records == []
    _fails_with(ValueError("another"))
    assert [record.name for record in caplog.records] == ["tornado.application"]


@pytest.mark.usefixtures("_undone")
def test_with_debug_it_is_shown(caplog):
    quieten(debug=True)
    _fails_with(TimeoutError())
    assert len(caplog.records) == 1
