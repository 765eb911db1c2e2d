"""Main commands: demo, nightly, backfill, enroll, doctor; the other groups are registered here."""

import datetime as dt
import json
import sys
import traceback
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from data_contracts.errors import UndertoneError, UsageError
from flows.cli import dashboard, maintain, models, rejects, report, speakers, tables
from flows.cli.options import (
    Cluster,
    Corpus,
    Force,
    FromDate,
    Json,
    Lake,
    Layout,
    Manifest,
    ToDate,
    given_flags,
)
from flows.cli.startup import run_command
from flows.terminal.screen import escape_for_console, make_console, make_error_console

app = typer.Typer(
    name="undertone",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="From a corpus of speech to tables of who spoke, and with what emotion.\n\n"
    "Two things are needed: where the audio is ([bold]--corpus[/bold], UNDERTONE_CORPUS) and where the lake is "
    "([bold]--lake[/bold], UNDERTONE_LAKE); both take a folder or a URL such as s3://bucket/prefix. "
    "Begin with [bold]undertone demo[/bold].",
    epilog="Exit codes: 0 done · 1 the run failed · 2 wrong usage · 3 validation stopped the publication.",
)
console = make_console()
error_console = make_error_console()
_debug = False


class StageName(StrEnum):
    features = "features"
    score = "score"


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and Prefect's log.")] = False,
) -> None:
    global _debug  # noqa: PLW0603 - the one thing that main() must know of a command that failed
    _debug = debug
    from flows.terminal.logging import quieten

    quieten(debug=debug)


@app.command()
def demo(
    corpus: Annotated[str | None, typer.Option(help="Your own folder; default: the sample corpus.")] = None,
    lake: Annotated[str | None, typer.Option(help="The demo's lake; default: demo-lake, one for each corpus.")] = None,
    s3: Annotated[bool, typer.Option("--s3", help="Serve corpus and lake from an embedded S3 server.")] = False,
) -> None:
    """Run everything embedded, from nothing to tables. Run it twice: the second run does nothing, and says so."""
    from flows.cli.demo import demo as run_demo

    run_demo(console, corpus=corpus, lake=lake, s3=s3)


@app.command()
def nightly(
    date: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: yesterday, UTC.")] = None,
    corpus: Corpus = None,
    lake: Lake = None,
    layout: Layout = None,
    manifest: Manifest = None,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Run one night: a date, and late files of the look-back window before it.

    Killed at any point, it is simply run again: what is done stays done.
    """
    day = date.date() if date else None
    with run_command(corpus=corpus, lake=lake, layout=layout, manifest=manifest, cluster=cluster) as settings:
        from flows.nightly import nightly as flow
        from flows.terminal.progress import run_and_report

        run_and_report(console, lambda: flow(date=day, settings=settings), as_json=as_json)


@app.command()
def backfill(
    start: FromDate = None,
    end: ToDate = None,
    stage: Annotated[
        StageName | None,
        typer.Option(help="features: extract, publish nothing. score: from stored features, no audio is read."),
    ] = None,
    force: Force = False,
    corpus: Corpus = None,
    lake: Lake = None,
    layout: Layout = None,
    manifest: Manifest = None,
    cluster: Cluster = None,
    shard_bytes: Annotated[int | None, typer.Option(help="Audio bytes in a shard, at most.")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers of a cluster of our own; default one a core.")] = None,
    as_json: Json = False,
) -> None:
    """Run a range of dates, or all dates where no range is given.

    After a new emotion model was promoted, [bold]--stage score[/bold] scores again from the stored features.
    """
    from flows.dates import date_range

    first, last = (day.date() if day else None for day in (start, end))
    date_range(first, last)
    stage_name: Any = stage.value if stage else None
    with run_command(
        reads_audio=stage is not StageName.score,
        corpus=corpus,
        lake=lake,
        layout=layout,
        manifest=manifest,
        cluster=cluster,
        shard_bytes=shard_bytes,
        workers=workers,
    ) as settings:
        from flows.backfill import backfill as flow
        from flows.terminal.progress import run_and_report

        run = partial(flow, start=first, end=last, stage=stage_name, force=force, settings=settings)
        run_and_report(console, run, as_json=as_json)


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="Who it is.")],
    uris: Annotated[list[str], typer.Argument(help="One or more recordings in which only this person speaks.")],
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Enroll a voice by name. Later nights recognise it; for earlier ones, run backfill --stage score --force."""
    from flows.enroll import enroll as flow
    from flows.settings import Settings

    speaker = flow(Settings.load(**given_flags(lake=lake)), name, uris)
    if as_json:
        print(json.dumps(speaker, default=str))
        return
    console.print(
        f"[bold]{escape_for_console(name)}[/bold] is enrolled as {speaker['speaker_id']}, "
        f"from {speaker['speech_s']:.1f} s of speech in {len(speaker['sources'])} recording(s)."
    )
    for uri in speaker["unlike"]:
        console.print(
            f"[yellow]The voice in {escape_for_console(uri)} is unlike those in the others: "
            "is it the same person?[/yellow]"
        )


@app.command()
def doctor(
    corpus: Corpus = None,
    lake: Lake = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send a trial message to the receivers of UNDERTONE_NOTIFY.")
    ] = False,
    lake_check: Annotated[
        bool,
        typer.Option("--lake-check", help="Hold all that the lake claims against its files, and name what is lost."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check settings, stores, models and extras, and say what to do about each."""
    from flows.cli.doctor import examine, print_findings, try_receivers
    from flows.cli.lake_check import check_lake

    flags = given_flags(corpus=corpus, lake=lake)
    findings = [try_receivers(flags)] if notify else check_lake(flags) if lake_check else examine(flags)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        print_findings(console, findings)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


tables.add_to(app)
report.add_to(app)
dashboard.add_to(app)
maintain.add_to(app)
app.add_typer(models.app, name="models")
app.add_typer(rejects.app, name="rejects")
app.add_typer(speakers.app, name="speakers")


def main() -> None:
    """Run the command; errors become one clear message and an exit code."""
    try:
        app(standalone_mode=True)
    except UndertoneError as error:
        _fail(error, error.exit_code)
    except KeyboardInterrupt:
        error_console.print("[red]Stopped.[/red] Run the same command again: it goes on where this one ended.")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last boundary: a message, and the traceback for who asks
        _fail(_translate(error), 1)


def _translate(error: Exception) -> Exception:
    if "prefect" not in sys.modules:
        return error
    from flows.workers.prefect_server import explain_unreachable

    return explain_unreachable(error) or error


def _fail(error: Exception, code: int) -> None:
    if _debug:
        traceback.print_exception(error)
    kind = "Wrong usage" if isinstance(error, UsageError) else "Stopped" if code == 3 else "Failed"
    words = str(error) if isinstance(error, UndertoneError) else f"{type(error).__name__}: {error}"
    hint = "" if isinstance(error, UndertoneError) or _debug else "\nWith --debug before the command you see where."
    error_console.print(
        f"[bold red]{kind}:[/bold red] {escape_for_console(words)}{hint}", highlight=False, soft_wrap=True
    )
    sys.exit(code)
