"""`undertone maintain`: compaction, and removal of old files."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import Json, Lake, given_flags
from flows.terminal.screen import make_console
from flows.workers.prefect_server import start_server

if TYPE_CHECKING:
    from tasks.maintenance_report import MaintenanceReport

console = make_console()
Days = int | None


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(maintain)


def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")] = False,
    older_than_days: Annotated[Days, typer.Option(help="Pack the features of dates older than this; 7.")] = None,
    keep_versions_days: Annotated[
        Days, typer.Option(help="Tables can be read as of so long ago; 7, 30 at most.")
    ] = None,
    keep_stagings_days: Annotated[Days, typer.Option(help="Keep what runs left that came to nothing; 30.")] = None,
    keep_reports_days: Annotated[Days, typer.Option(help="Keep validation results and Data Docs; 400.")] = None,
    drop_versions: Annotated[
        bool, typer.Option("--drop-versions", help="Drop the features that no published row is made of.")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Publish what other tools changed in the tables.")
    ] = False,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Compact small files and remove old ones, so that a year of nights stays quick to query.

    Runs and readers may go on meanwhile; after a kill at any point, run it again. Unused feature versions are listed,
    and dropped only with [bold]--drop-versions[/bold].
    """
    from flows.settings import Settings

    flags = given_flags(
        lake=lake,
        pack_after_days=older_than_days,
        keep_versions_days=keep_versions_days,
        keep_stagings_days=keep_stagings_days,
        keep_reports_days=keep_reports_days,
    )
    Settings.load(**flags).open_lake()
    wait_for_server = start_server()
    from flows.maintain import maintain as flow

    wait_for_server()
    done = flow(dry_run=dry_run, drop_versions=drop_versions, accept_changes=accept_changes, settings=flags)
    if as_json:
        print(json.dumps([asdict(line) for line in done]))
    else:
        _print_report(done, dry_run=dry_run)


def _print_report(done: list["MaintenanceReport"], *, dry_run: bool) -> None:
    import pyarrow as pa

    from flows.terminal.summary import rich_table

    rows = [
        {
            "": line.what,
            "files": f"{line.files_before:,}",
            "after": f"{line.files_after:,}",
            "MB": line.bytes_before / 1e6,
            "MB after": line.bytes_after / 1e6,
            "seconds": line.seconds,
            "what was done" if not dry_run else "what would be done": line.did,
        }
        for line in done
    ]
    console.print(rich_table(pa.Table.from_pylist(rows)))
