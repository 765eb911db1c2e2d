"""Stages 4 to 8 over a few dates at a time, so that a year's backfill needs no more memory than one night."""

from dataclasses import replace

from data_contracts.errors import PublishConflict, ValidationStopped
from data_contracts.expectations.validation import Verdict
from flows.terminal.progress import reporter
from flows.terminal.screen import escape_for_console
from flows.workers.dask import Workers
from tasks.run.context import Run
from tasks.run.ledger import Ledger
from tasks.stages.audit import audit, docs_uri
from tasks.stages.identify import identify
from tasks.stages.integrate import integrate
from tasks.stages.publish import publish
from tasks.stages.reenroll import reenroll
from tasks.stages.score import score
from tasks.stages.select import select
from tasks.staging.pending import PendingRecordings, dates_in_store

_MAX_ATTEMPTS = 5
_VERDICTS_BY_SEVERITY = ("nothing_to_check", "passed", "warned", "stopped")


def publish_pending(run: Run, ledger: Ledger, workers: Workers) -> bool:
    """Stage, audit and publish the window's dates in order. Return whether the ledger's row is written.

    Where another run publishes in between, the dates are staged again on top of it. Raises ValidationStopped; dates
    published before stay, since they passed.
    """
    dates, n_conflicts, is_written = dates_in_store(run), 0, False
    while True:
        with ledger.timed("integrate"):
            pending = select(run, dates)
        if not pending.n_recordings:
            break
        before = ledger.staged_fields()
        _stage(run, ledger, pending, workers)
        is_written = not pending.rest
        try:
            ledger.save(run.lake)
            publish(run, ledger, pending.base, is_last=is_written)
        except PublishConflict:
            n_conflicts += 1
            if n_conflicts == _MAX_ATTEMPTS:
                raise
            ledger.restore_fields(before)
            ledger.attempt, is_written = ledger.attempt + 1, False
            reporter.get().say("publish", "another run published first: staging again on top of it")
            continue
        ledger.attempt += 1
        run, dates, n_conflicts = replace(run, batch=run.batch + 1), pending.rest, 0
        reporter.get().say("publish", _publication_line(ledger, pending))
        if is_written:
            break
    if not run.batch:
        reporter.get().say("publish", "nothing new: the tables are as they were")
    return is_written


def _publication_line(ledger: Ledger, pending: PendingRecordings) -> str:
    more = f"; {len(pending.rest)} more dates to look at" if pending.rest else ""
    return f"{ledger.n_published_recordings:,} recordings, {ledger.n_published_utterances:,} utterances{more}"


def _stage(run: Run, ledger: Ledger, pending: PendingRecordings, workers: Workers) -> None:
    """Run stages 4 to 7. Raises ValidationStopped."""
    output = reporter.get()
    with ledger.timed("identify"):
        enrolled = reenroll(run)
        identified = identify(run, pending)
    ledger.n_new_speakers += identified.n_founded
    n_kept = enrolled.n + identified.n_reidentified
    output.say(
        "identify",
        f"{identified.n_founded} speakers heard for the first time"
        + (f", {n_kept} known from another encoder" if n_kept else ""),
    )
    for words in (*enrolled.failed, *identified.unmatched):
        output.say("", f"[yellow]note[/yellow] {escape_for_console(words)}")
    with ledger.timed("score"):
        n_scored = score(run, pending, workers.client_for(sum(map(len, pending.shards.values()))))
    ledger.n_scored += n_scored
    if not pending.rest:
        workers.release()
    audio_note = "" if ledger.extracted.n_objects else "; no audio was read: from stored features"
    output.say("score", f"{n_scored:,} utterances by {run.emotion.label}{audio_note}")
    with ledger.timed("integrate"):
        staged = integrate(run, pending)
    ledger.n_published_recordings += staged.n_recordings
    ledger.n_published_utterances += staged.n_utterances
    with ledger.timed("audit"):
        verdict = audit(run, pending, ledger.n_planned - ledger.extracted.n_objects)
    _record_verdict(run, ledger, verdict)
    if verdict.critical:
        raise ValidationStopped(
            f"{len(verdict.critical)} of {verdict.n_expectations} expectations failed, "
            f"{'nothing was published' if not run.batch else 'these dates were not published'}; first: "
            f"{verdict.critical[0]}. See {docs_uri(run)}, mend the model or the data, and run again"
        )


def _record_verdict(run: Run, ledger: Ledger, verdict: Verdict) -> None:
    """Keep the worst verdict in the ledger, and where it is explained."""
    output = reporter.get()
    if not ledger.validation or _VERDICTS_BY_SEVERITY.index(verdict.word) > _VERDICTS_BY_SEVERITY.index(ledger.verdict):
        ledger.verdict, ledger.validation = verdict.word, docs_uri(run)
    ledger.failures = [*ledger.failures, *map(str, verdict.failures)]
    drift = (str(failure) for failure in verdict.failures if failure.is_drift)
    ledger.drift = list(dict.fromkeys([*ledger.drift, *drift]))
    output.say("audit", f"{verdict.n_expectations} expectations, {verdict.word}: {escape_for_console(docs_uri(run))}")
    for failure in verdict.failures:
        output.say("", f"[yellow]{failure.severity}[/yellow] {escape_for_console(str(failure))}")
