"""`undertone report`: the HTML report of a run."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import Lake, open_lake
from flows.terminal.screen import make_console

console = make_console()


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(report)


def report(
    run: Annotated[str | None, typer.Argument(help="A run's id; the newest where none is named.")] = None,
    lake: Lake = None,
    output: Annotated[Path | None, typer.Option(help="Write it to this file, not beside the validation.")] = None,
) -> None:
    """Write one HTML page about a run, and print its path: charts included, no network needed.

    Each run leaves its own beside its validation.
    """
    from flows.analytics.runs import find_run
    from flows.report.write import render_report, write_report

    opened = open_lake(lake)
    row = find_run(opened, run)
    if output is None:
        place = write_report(opened, row)
    else:
        output.write_text(render_report(opened, row), encoding="utf-8")
        place = str(output.absolute())
    console.print(place, markup=False, highlight=False, soft_wrap=True)
