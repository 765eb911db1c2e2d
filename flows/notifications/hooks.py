"""Notification hooks of Prefect flows: failed runs, stopped publications and drift, sent as `notify` says.

    failed    the flow ended with an error, or its process died, as seen by a worker or by the next run
    stopped   the validation stopped a publication
    drift     the run succeeded, and its audit warns of a change

Each run is notified of once; successful runs and those interrupted at the keyboard are not.
"""

import datetime as dt
import re
import sys
from collections.abc import Iterable
from typing import Any, TypedDict

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.urls import url_for

from data_contracts.errors import UndertoneError, UsageError, ValidationStopped
from data_contracts.lake import Lake
from flows.notifications.apprise import Message, receivers, send
from flows.settings import Settings
from flows.settings.notification import Event, NotificationSettings
from flows.terminal.progress import reporter
from flows.terminal.screen import escape_control
from tasks.run import staging_paths as paths
from tasks.run.ledger import Ledger

_MAX_AGE = dt.timedelta(days=7)
_MAX_CHARACTERS = 1_500  # of an error: chats cut off longer texts
_EVENT_VERBS: dict[Event, str] = {
    "failed": "failed",
    "stopped": "was stopped by its validation",
    "drift": "found drift",
}
_ADVICE: dict[Event, str] = {
    "failed": "What is done stays done: mend what is said above, and run the same again.",
    "stopped": "The tables are as they were: read the Data Docs, mend the model or the data, and run again.",
    "drift": "It is published. Did callers, lines or models change? Older versions of the tables stay readable.",
}
_DRIFT_QUERY = 'Each measure: undertone query "SELECT * FROM drift WHERE over ORDER BY date DESC"'


def on_failure(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Notify of an error, and of a validation that stopped the publication."""
    error = _result_of(state)
    _notify(flow, flow_run, "stopped" if isinstance(error, ValidationStopped) else "failed", _error_lines(error, state))


def on_crashed(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Notify of a process that died or was ended; a worker calls this where the process could not."""
    error = _result_of(state)
    if not isinstance(error, KeyboardInterrupt):
        _notify(flow, flow_run, "failed", _error_lines(error, state))


def on_completion(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Notify of drift, which a run publishes and warns of."""
    ledger = _result_of(state)
    if isinstance(ledger, Ledger) and ledger.drift:
        found = [*ledger.drift, f"run {ledger.run_id}; its Data Docs: {ledger.validation}", _DRIFT_QUERY]
        _notify(flow, flow_run, "drift", found)


def notify_of_dead_runs(lake: Lake, settings: NotificationSettings, *, by: str) -> None:
    """Notify once of each run of the last week that was killed without a worker; run `by` notifies."""
    if "failed" not in settings.notify_on or not settings.notify:
        return
    from flows.analytics.runs import dead_runs

    since = dt.datetime.now(dt.UTC) - _MAX_AGE
    rows = [row for row in dead_runs(lake) if row["started"] > since]
    rows = [row for row in rows if lake.create(paths.notified(row["run_id"]), by.encode())]
    if rows:
        subject = rows[0]["flow"] if len(rows) == 1 else f"{len(rows)} runs"
        killed = [f"Run {row['run_id']} was killed{_in_stage(row['stage'])}: {row['error']}" for row in rows]
        _send(settings, subject, "failed", [*killed, _ADVICE["failed"], f"See: undertone runs --lake {lake.uri}"])


def _in_stage(stage: str | None) -> str:
    return f" in stage {stage}" if stage else ""


class _Hooks(TypedDict):
    on_failure: list[FlowStateHook[..., Any]]
    on_crashed: list[FlowStateHook[..., Any]]
    on_completion: list[FlowStateHook[..., Any]]


NOTIFY_HOOKS: _Hooks = {"on_failure": [on_failure], "on_crashed": [on_crashed], "on_completion": [on_completion]}
"""Keyword arguments for the decorator of a flow."""


def _notify(flow: "Flow[..., Any]", flow_run: FlowRun, event: Event, lines: Iterable[str]) -> None:
    settings = _notification_settings(flow_run)
    if event not in settings.notify_on or not settings.notify:
        return
    lines = [*lines, _ADVICE[event], *_links(flow_run, getattr(settings, "lake", ""))]
    for words in _send(settings, flow.name, event, lines):
        flow_run_logger(flow_run, flow).warning(words)


def _send(settings: NotificationSettings, flow: str, event: Event, lines: Iterable[str]) -> list[str]:
    """Send to all receivers; return, and print, a complaint for each that did not accept."""
    body = "\n".join(escape_control(_without_passwords(line), keep="\n") for line in lines)
    message = Message(f"Undertone: {flow} {_EVENT_VERBS[event]}", body, "warning" if event == "drift" else "failure")
    targets = receivers(settings.notify)
    failed = send(targets, message)
    reached = [receiver.name for receiver in targets if receiver not in failed]
    if reached:
        reporter.get().say("notify", f"told {', '.join(reached)}")
    complaints = [f"{receiver.name} could not be told that {flow} {_EVENT_VERBS[event]}" for receiver in failed]
    for words in complaints:
        print(f"{words}; try it by `undertone doctor --notify`", file=sys.stderr)
    return complaints


def _notification_settings(flow_run: FlowRun) -> NotificationSettings:
    """Return the settings in force; where a wrong one stopped the run, those of notification alone."""
    flags = flow_run.parameters.get("settings") or {}
    try:
        return Settings.load(**flags)
    except UsageError:
        return NotificationSettings(
            **{name: flags[name] for name in NotificationSettings.model_fields if name in flags}
        )


def _result_of(state: "State[Any]") -> Any:
    """Return the flow's value, or the error that ended it; None in another process than the flow's."""
    return getattr(state.data, "result", state.data)


def _error_lines(error: Any, state: "State[Any]") -> list[str]:
    """Return the error's message and its notes: the run and its stage."""
    if not isinstance(error, BaseException):
        return [str(state.message)[:_MAX_CHARACTERS]]
    words = str(error) if isinstance(error, UndertoneError) else f"{type(error).__name__}: {error}"
    return [words[:_MAX_CHARACTERS], *getattr(error, "__notes__", [])]


def _links(flow_run: FlowRun, lake: str) -> list[str]:
    """Return where to look; the command's own server, which serves one run, is left out."""
    link = url_for(flow_run) if flow_run.deployment_id else None
    runs = f"See: undertone runs --lake {lake}" if lake else "See: undertone runs"
    return [runs, f"In Prefect: {flow_run.name}" + (f", {link}" if link else "")]


def _without_passwords(words: str) -> str:
    """Remove credentials from addresses such as scheme://user:password@host."""
    return re.sub(r"(\w://)[^\s/@]+@", r"\1…@", words)
