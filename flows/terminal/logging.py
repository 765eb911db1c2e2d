"""Log levels and warnings of the libraries underneath."""

import logging
import os
import warnings


def quieten(*, debug: bool) -> None:
    """Show only our own warnings and the libraries' errors, unless debugging."""
    if debug:
        return
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # a failure is told once, by the command
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")  # page after page where its server went away
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    warnings.simplefilter("ignore")
    logging.getLogger("tornado.application").addFilter(_is_no_timeout)  # its level is set anew where Dask is imported
    for name in ("mlflow", "alembic", "great_expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _is_no_timeout(record: logging.LogRecord) -> bool:
    """Return False for the time-out of a cluster that ends slowly beside the driver: nothing is lost by it."""
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))
