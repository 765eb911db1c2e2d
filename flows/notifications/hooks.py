"""A run's end, told to whom the setting `notify` names: Prefect calls these hooks of a flow, whoever runs it.

    failed    the flow ended with an error, or its process died and a worker saw it; without one, the next run did
    stopped   the validation stopped a publication
    drift     the run went well, and its audit warns of a change

A run is told of once, and one that went well is not. Neither is one that somebody at the keyboard interrupted.
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
_MAX_CHARACTERS = 1_500  # of an error: chats cut off what is longer
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
    """Of an error, and of a validation that stopped the publication."""
    error = _result_of(state)
    _notify(flow, flow_run, "stopped" if isinstance(error, ValidationStopped) else "failed", _error_lines(error, state))


def on_crashed(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Of a process that died, or was ended; by the worker, where it could not say so itself."""
    error = _result_of(state)
    if not isinstance(error, KeyboardInterrupt):
        _notify(flow, flow_run, "failed", _error_lines(error, state))


def on_completion(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Of drift, which a run publishes and warns of."""
    ledger = _result_of(state)
    if isinstance(ledger, Ledger) and ledger.drift:
        found = [*ledger.drift, f"run {ledger.run_id}; its Data Docs: {ledger.validation}", _DRIFT_QUERY]
        _notify(flow, flow_run, "drift", found)


def notify_of_dead_runs(lake: Lake, chosen: NotificationSettings, *, by: str) -> None:
    """Of runs that were killed in the last week, and had no worker to tell of it: run `by` does, once of each."""
    if "failed" not in chosen.notify_on or not chosen.notify:
        return
    from flows.analytics.runs import dead_runs

    since = dt.datetime.now(dt.UTC) - _MAX_AGE
    rows = [row for row in dead_runs(lake) if row["started"] > since]
    rows = [row for row in rows if lake.create(paths.notified(row["run_id"]), by.encode())]
    if rows:
        what = rows[0]["flow"] if len(rows) == 1 else f"{len(rows)} runs"
        killed = [f"Run {row['run_id']} was killed{_in_stage(row['stage'])}: {row['error']}" for row in rows]
        _send(chosen, what, "failed", [*killed, _ADVICE["failed"], f"See: undertone runs --lake {lake.uri}"])


def _in_stage(stage: str | None) -> str:
    return f" in stage {stage}" if stage else ""


class _Hooks(TypedDict):
    on_failure: list[FlowStateHook[..., Any]]
    on_crashed: list[FlowStateHook[..., Any]]
    on_completion: list[FlowStateHook[..., Any]]


NOTIFY_HOOKS: _Hooks = {"on_failure": [on_failure], "on_crashed": [on_crashed], "on_completion": [on_completion]}
"""For the decorator of a flow."""


def _notify(flow: "Flow[..., Any]", flow_run: FlowRun, event: Event, lines: Iterable[str]) -> None:
    chosen = _notification_settings(flow_run)
    if event not in chosen.notify_on or not chosen.notify:
        return
    lines = [*lines, _ADVICE[event], *_links(flow_run, getattr(chosen, "lake", ""))]
    for words in _send(chosen, flow.name, event, lines):
        flow_run_logger(flow_run, flow).warning(words)


def _send(chosen: NotificationSettings, flow: str, event: Event, lines: Iterable[str]) -> list[str]:
    """Tells all who are to be told; returns, and prints, a complaint of each who could not be."""
    body = "\n".join(escape_control(_without_passwords(line), keep="\n") for line in lines)
    message = Message(f"Undertone: {flow} {_EVENT_VERBS[event]}", body, "warning" if event == "drift" else "failure")
    asked = receivers(chosen.notify)
    deaf = send(asked, message)
    heard = [receiver.name for receiver in asked if receiver not in deaf]
    if heard:
        reporter.get().say("notify", f"told {', '.join(heard)}")
    complaints = [f"{receiver.name} could not be told that {flow} {_EVENT_VERBS[event]}" for receiver in deaf]
    for words in complaints:
        print(f"{words}; try it by `undertone doctor --notify`", file=sys.stderr)
    return complaints


def _notification_settings(flow_run: FlowRun) -> NotificationSettings:
    """The settings in force; where a wrong one stopped the run, those of telling alone."""
    flags = flow_run.parameters.get("settings") or {}
    try:
        return Settings.load(**flags)
    except UsageError:
        return NotificationSettings(
            **{name: flags[name] for name in NotificationSettings.model_fields if name in flags}
        )


def _result_of(state: "State[Any]") -> Any:
    """What the flow returned, or the error that ended it; None where this process was not there."""
    return getattr(state.data, "result", state.data)


def _error_lines(error: Any, state: "State[Any]") -> list[str]:
    """What went wrong, and what its notes say: the run and its stage."""
    if not isinstance(error, BaseException):
        return [str(state.message)[:_MAX_CHARACTERS]]
    words = str(error) if isinstance(error, UndertoneError) else f"{type(error).__name__}: {error}"
    return [words[:_MAX_CHARACTERS], *getattr(error, "__notes__", [])]


def _links(flow_run: FlowRun, lake: str) -> list[str]:
    """Where to look; the command's own server, which serves one run, is no such place."""
    link = url_for(flow_run) if flow_run.deployment_id else None
    runs = f"See: undertone runs --lake {lake}" if lake else "See: undertone runs"
    return [runs, f"In Prefect: {flow_run.name}" + (f", {link}" if link else "")]


def _without_passwords(words: str) -> str:
    """Addresses may carry them: scheme://user:password@host."""
    return re.sub(r"(\w://)[^\s/@]+@", r"\1…@", words)
