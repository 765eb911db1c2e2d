"""`undertone rejects`: listing of rejected files, and `retry`, which reads them again."""

from functools import partial
from typing import Annotated

import typer

from data_contracts.rejects import MAX_TRIES, RETRYABLE, Reason
from flows.cli.options import Cluster, Corpus, FromDate, Json, Lake, Layout, Manifest, ToDate, open_lake
from flows.cli.startup import run_command
from flows.cli.tables import Limit
from flows.terminal.screen import make_console

app = typer.Typer(help="The files that could not be used, and why: list them, read them again.")
console = make_console()


@app.callback(invoke_without_command=True)
def rejects(context: typer.Context, lake: Lake = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List the files that could not be used, with their reasons; `retry` reads them again."""
    if context.invoked_subcommand is None:
        _list(lake, limit, as_json=as_json)


@app.command()
def retry(
    reason: Annotated[list[Reason] | None, typer.Option(help="Only these; may be given several times.")] = None,
    uri: Annotated[list[str] | None, typer.Option(help="Only this file; may be given several times.")] = None,
    start: FromDate = None,
    end: ToDate = None,
    corpus: Corpus = None,
    lake: Lake = None,
    layout: Layout = None,
    manifest: Manifest = None,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Read rejected files again, those alone, and publish the result.

    A file that failed three times for the same reason is skipped until it changes, or [bold]backfill --force[/bold].
    """
    from flows.dates import date_range

    first, last = (day.date() if day else None for day in (start, end))
    date_range(first, last)
    reasons = [str(word) for word in reason or ()]
    with run_command(corpus=corpus, lake=lake, layout=layout, manifest=manifest, cluster=cluster) as settings:
        from flows.retry import retry as flow
        from flows.terminal.progress import run_and_report

        run = partial(flow, reasons=reasons, uris=uri or [], start=first, end=last, settings=settings)
        run_and_report(console, run, as_json=as_json)


def _list(lake: str | None, limit: int, *, as_json: bool) -> None:
    from flows.analytics.sql import query
    from flows.terminal.output import print_rows

    sql = f"SELECT date, reason, uri, error, tries FROM rejects ORDER BY date DESC, uri LIMIT {limit:d}"
    print_rows(console, query(open_lake(lake), sql), style="json" if as_json else "table")
    if not as_json:
        console.print(HINT, soft_wrap=True)


HINT = (
    f"{', '.join(sorted(RETRYABLE))} are tried again by the runs that list them; `undertone rejects retry` reads any "
    f"of them again. What failed {MAX_TRIES} times for the same reason is left alone until the file changes, or "
    "`undertone backfill --force`."
)
