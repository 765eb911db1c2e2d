"""`undertone query`, `tables` and `runs`: reading what was published."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import Json, Lake, open_lake
from flows.terminal.screen import Format, make_console

if TYPE_CHECKING:
    import pyarrow as pa

console = make_console()
Limit = Annotated[int, typer.Option(help="Rows at most.")]


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    for command in (query, tables, runs):
        app.command()(command)


def query(
    sql: Annotated[str, typer.Argument(help='For example "SELECT emotion, count(*) FROM utterances GROUP BY 1".')],
    lake: Lake = None,
    style: Annotated[Format, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|VERSION|TIME",
            help="The tables as a run left them, as of a time or the end of a date (UTC), or one at its version.",
        ),
    ] = None,
) -> None:
    """Query tables and feature sets by name with SQL (DuckDB); [bold]undertone tables[/bold] lists them.

    All tables are as one run left them, whatever runs at the same time. Feature sets have no versions and are current.
    """
    from flows.analytics.sql import stream_query
    from flows.terminal.output import print_rows

    with stream_query(open_lake(lake), sql, as_of=as_of) as answer:
        print_rows(console, answer, style=style, output=output)


def tables(
    name: Annotated[str | None, typer.Argument(help="One of them; all in short where none is named.")] = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="What docs/tables.md holds.")] = False,
) -> None:
    """Print the data dictionary: tables and feature sets, with each column's meaning and unit."""
    from flows.analytics.dictionary import as_json_document, as_markdown, entries, entries_table, entry, entry_table

    if markdown:
        print(as_markdown(entries()), end="")
    elif as_json:
        print(as_json_document([entry(name)] if name else entries()))
    else:
        console.print(entry_table(entry(name)) if name else entries_table(entries()))


def runs(lake: Lake = None, limit: Limit = 20, as_json: Json = False) -> None:
    """List the runs, newest first, with the failed and the stopped ones."""
    from flows.analytics.runs import recent_runs, terminal_columns

    history = recent_runs(open_lake(lake), limit)
    if not history.num_rows and not as_json:
        console.print("No run yet. `undertone nightly` or `undertone backfill` makes one.")
        return
    _show(history if as_json else terminal_columns(history), as_json=as_json)


def _show(answer: "pa.Table", *, as_json: bool) -> None:
    from flows.terminal.output import print_rows

    print_rows(console, answer, style="json" if as_json else "table")
