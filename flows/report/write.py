"""Writing a run's report: by the flow when it ends, or by `undertone report`."""

from collections.abc import Mapping
from typing import Any

from data_contracts.errors import CredentialsError, TransientError
from data_contracts.lake import Lake
from flows.history import row_of
from flows.progress import reporter
from flows.report.facts import folder, gather
from flows.report.page import page
from flows.screen import safe
from tasks.ledger import Ledger


def write(lake: Lake, run: Mapping[str, Any]) -> str:
    """Writes the page beside the run's validation. Returns where it is; `run` is a row of `flows.history.HISTORY`."""
    path = f"{folder(run['run_id'])}/report.html"
    lake.write(path, document(lake, run).encode())
    return lake.at(path)


def document(lake: Lake, run: Mapping[str, Any]) -> str:
    """The page."""
    return page(gather(lake, run))


def leave_report(lake: Lake, ledger: Ledger, error: BaseException | None = None) -> None:
    """What a run leaves when it ends, well or by an `error`; told where it cannot, and no run fails for it.

    Where the store does not answer, or does not let us in, it is not asked again.
    """
    if isinstance(error, TransientError | CredentialsError) or not isinstance(error, Exception | None):
        return
    tell = reporter.get()
    try:
        tell.say("report", safe(write(lake, row_of(ledger))))
    except Exception as problem:  # noqa: BLE001 - the run has done its work: a picture of it is not worth failing for
        tell.say("report", f"[yellow]none was written[/yellow]: {safe(f'{type(problem).__name__}: {problem}')}")
