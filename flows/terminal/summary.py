"""Rich tables of query results, and the closing summary of a run."""

import datetime as dt
from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_contracts.rejects import MAX_TRIES
from flows.terminal.screen import escape_control, escape_for_console
from tasks.run.ledger import Ledger

_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def rich_table(answer: pa.Table, title: str | None = None) -> Table:
    """Return a rich table with numbers aligned right and rounded."""
    table = Table(title=title, title_justify="left", header_style="bold", title_style="bold", box=box.SIMPLE_HEAD)
    for field in answer.schema:
        numeric = any(test(field.type) for test in _NUMERIC)
        table.add_column(Text(escape_control(field.name)), justify="right" if numeric else "left", overflow="fold")
    for row in answer.to_pylist():
        table.add_row(*(Text(escape_control(format_cell(value))) for value in row.values()))
    return table


def format_cell(value: Any) -> str:
    """Return a cell's text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list) and len(value) > 4:
        return f"[{', '.join(format_cell(item) for item in value[:3])}, … {len(value)}]"
    return str(value)


def print_summary(console: Console, ledger: Ledger) -> None:
    """Print a run's results in a few lines."""
    done, elapsed_s = ledger.extracted, ledger.elapsed_s
    if ledger.flow == "retry":
        _print_exhausted(console, ledger)
        if not ledger.n_published_recordings and not done.n_objects:
            console.print(f"[bold]Nothing to read again.[/bold] ({elapsed_s:.1f} s, run {ledger.run_id})")
            return
    if not ledger.n_published_recordings and not done.n_objects:
        console.print(
            f"[bold]Nothing to do.[/bold] {ledger.n_listed:,} objects listed, all {ledger.n_known:,} known and "
            f"published; no row was written twice. ({elapsed_s:.1f} s, run {ledger.run_id})",
            highlight=False,
        )
        return
    if not done.n_objects:
        _print_rescored(console, ledger)
        return
    speed = f", {done.audio_s / elapsed_s:.0f}x real time" if done.audio_s else ""
    truncated = f"{done.n_truncated} truncated and kept, " if done.n_truncated else ""
    console.print(
        f"[bold green]Done[/bold green] in {elapsed_s:.1f} s{speed}: {done.audio_s / 3600:.2f} h of audio, "
        f"{ledger.n_published_recordings:,} recordings and {ledger.n_published_utterances:,} utterances published, "
        f"{done.n_rejected} files rejected, {truncated}{ledger.n_new_speakers} new speakers.",
        highlight=False,
    )
    _print_versions(console, ledger)


def _print_exhausted(console: Console, ledger: Ledger) -> None:
    if ledger.left_alone:
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(ledger.left_alone.items()))
        console.print(
            f"[yellow]{sum(ledger.left_alone.values())} left alone[/yellow] ({reasons}): failed {MAX_TRIES} times for "
            "the same reason. They are read once they change, or by `undertone backfill --force`.",
            highlight=False,
        )


def _print_rescored(console: Console, ledger: Ledger) -> None:
    console.print(
        f"[bold green]Done[/bold green] in {ledger.elapsed_s:.1f} s: no audio was read (0 objects, 0 bytes); "
        f"{ledger.n_scored:,} utterances scored from stored features by {ledger.emotion_model}, "
        f"{ledger.n_published_recordings:,} recordings and {ledger.n_published_utterances:,} utterances published.",
        highlight=False,
    )
    _print_versions(console, ledger)


def _print_versions(console: Console, ledger: Ledger) -> None:
    times = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in ledger.seconds.items())
    console.print(f"  seconds by stage: {times}", highlight=False)
    console.print(f"  run {ledger.run_id} · {ledger.emotion_model} · {ledger.speaker_model}", highlight=False)
    console.print(
        f"  validation {ledger.verdict}: {escape_for_console(ledger.validation or 'nothing to check')}", highlight=False
    )
