"""The report that a run leaves when it ends, well or not."""

from data_contracts.errors import CredentialsError, TransientError
from data_contracts.lake import Lake
from flows.terminal.progress import reporter
from flows.terminal.screen import escape_for_console
from tasks.run.ledger import Ledger


def warm_up() -> None:
    """Loads what draws, which takes seconds, while others work."""
    from flows.report import charts

    charts.warm_up()


def try_write_report(lake: Lake, ledger: Ledger, error: BaseException | None = None) -> None:
    """Writes it, and says where; where it cannot that is told, and no run fails for it.

    Where the store does not answer, or does not let us in, it is not asked again.
    """
    if isinstance(error, TransientError | CredentialsError) or not isinstance(error, Exception | None):
        return
    tell = reporter.get()
    try:
        # Not above: Prefect keeps what a flow's module reaches until the very end, and DuckDB complains there.
        from flows.analytics.runs import ledger_row
        from flows.report.write import write_report

        tell.say("report", escape_for_console(write_report(lake, ledger_row(ledger))))
    except Exception as problem:  # noqa: BLE001 - the run has done its work: a picture of it is not worth failing for
        tell.say(
            "report", f"[yellow]none was written[/yellow]: {escape_for_console(f'{type(problem).__name__}: {problem}')}"
        )
