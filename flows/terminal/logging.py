"""How much the libraries underneath may say in a terminal."""

import logging
import os
import warnings


def quieten(*, debug: bool) -> None:
    """Only warnings of our own and errors of theirs, unless somebody looks for one."""
    if debug:
        return
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # a failure is told once, by the command
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")  # page after page where its server went away
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    warnings.simplefilter("ignore")
    # A cluster that ends while the driver goes on may time out over a slow worker: of no run's doing.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    for name in ("mlflow", "alembic", "great_expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)
