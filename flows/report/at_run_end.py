"""Report at the end of a run, successful or not."""

from data_contracts.errors import CredentialsError, TransientError
from data_contracts.lake import Lake
from flows.terminal.progress import reporter
from flows.terminal.screen import escape_for_console
from tasks.run.ledger import Ledger


def warm_up() -> None:
    """Load the drawing libraries, which takes seconds, while others work."""
    from flows.report import charts

    charts.warm_up()


def try_write_report(lake: Lake, ledger: Ledger, error: BaseException | None = None) -> None:
    """Write the report and say where; a failure to write is reported and fails no run.

    No attempt is made where the run failed on the store's availability or credentials.
    """
    if isinstance(error, TransientError | CredentialsError) or not isinstance(error, Exception | None):
        return
    tell = reporter.get()
    try:
        # Not at module level: Prefect keeps a flow's imports alive until exit, where DuckDB complains.
        from flows.analytics.runs import ledger_row
        from flows.report.write import write_report

        tell.say("report", escape_for_console(write_report(lake, ledger_row(ledger))))
    except Exception as problem:  # noqa: BLE001 - the run has done its work: a picture of it is not worth failing for
        tell.say(
            "report", f"[yellow]none was written[/yellow]: {escape_for_console(f'{type(problem).__name__}: {problem}')}"
        )
