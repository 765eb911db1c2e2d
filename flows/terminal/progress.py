"""Progress of a run: a line for each stage, and a bar with audio hours and real-time factor."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from data_contracts.records import Counts
from tasks.run.ledger import Ledger


class Reporter(Protocol):
    """Interface for a flow's progress; the caller of the flow chooses the implementation."""

    def say(self, stage: str, words: str, /) -> None: ...

    def extraction(self, n_bytes: int, /) -> AbstractContextManager["Bar"]: ...


class Bar(Protocol):
    def __call__(self, counts: Counts, /) -> None: ...


class SilentReporter:
    """Reporter for scripts and schedules: Prefect's own log is enough."""

    def say(self, _stage: str, _words: str) -> None:
        """Do nothing."""

    def extraction(self, _n_bytes: int) -> AbstractContextManager[Bar]:
        return nullcontext(lambda _counts: None)


class TerminalReporter:
    """Reporter for people at a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, stage: str, words: str) -> None:
        self.console.print(f"  [bold]{stage:<10}[/bold]{words}", highlight=False)

    @contextmanager
    def extraction(self, n_bytes: int) -> Iterator[Bar]:
        """Show a bar over the audio's bytes; it is transient, so that only the closing line stays."""
        columns = (TextColumn("  [bold]extract   [/bold]"), BarColumn(), TextColumn("{task.fields[done]}"))
        started, total = time.perf_counter(), Counts()
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as progress:
            bar = progress.add_task("extract", total=max(1, n_bytes), done="starting workers")

            def advance(counts: Counts) -> None:
                nonlocal total
                total += counts
                rate = total.audio_s / (time.perf_counter() - started)
                done = f"{total.audio_s / 3600:.2f} h of audio, {rate:.0f}x real time"
                progress.update(bar, advance=counts.n_bytes, done=done)

            yield advance


_WORKER_SECONDS = ("read_s", "vad_s", "egemaps_s", "embed_s", "write_s")  # seconds of all workers together
_SILENT = SilentReporter()
reporter: ContextVar[Reporter] = ContextVar("reporter", default=_SILENT)


def run_and_report(console: Console, job: Callable[[], Ledger], *, as_json: bool) -> None:
    """Run a job with progress and a closing summary; or silently, and print the ledger's row as JSON."""
    from flows.terminal.summary import print_summary

    if as_json:
        ledger = job()
        skipped = {"left_alone": ledger.left_alone} if ledger.flow == "retry" else {}
        seconds = {name: value for name, value in ledger.extracted.as_dict().items() if name in _WORKER_SECONDS}
        print(json.dumps(ledger.row() | skipped | {"worked": seconds}, default=str))
        return
    token = reporter.set(TerminalReporter(console))
    try:
        print_summary(console, job())
    finally:
        reporter.reset(token)
