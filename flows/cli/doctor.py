"""`undertone doctor`: checks of configuration, stores, models and extras, with advice."""

import importlib.util
import itertools
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from rich.console import Console

from data_contracts.errors import UndertoneError
from data_contracts.lake.conditional_writes import require_conditional_writes
from data_contracts.schema.tables import TABLE_KEYS
from flows.places import home_folder, is_writable
from flows.settings import Settings
from flows.terminal.screen import escape_for_console
from flows.workers.prefect_server import prefect_home

State = Literal["ok", "note", "missing"]
_MARKS = {"ok": "[green]ok     [/green]", "note": "[yellow]note   [/yellow]", "missing": "[red]missing[/red]"}


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    what: str
    state: State
    words: str


def examine(flags: dict[str, Any]) -> list[Finding]:
    """Run all checks; one that fails does not hide the next."""
    try:
        settings = Settings.load(**flags)
    except UndertoneError as error:
        return [_python(), Finding("settings", "missing", str(error))]
    checks: dict[str, Callable[[Settings], tuple[State, str]]] = {
        "settings": _settings,
        "places": _places,
        "corpus": _corpus,
        "lake": _lake,
        "registry": _registry,
        "speakers": _speakers,
        "compute": _compute,
        "prefect": _prefect,
        "notify": _notify,
        "extras": _extras,
    }
    findings = [_python()]
    for what, check in checks.items():
        try:
            findings.append(Finding(what, *check(settings)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong there is what was asked for
            words = str(error) if isinstance(error, UndertoneError) else f"{type(error).__name__}: {error}"
            findings.append(Finding(what, "missing", words))
    return findings


def print_findings(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        console.print(
            f"{_MARKS[finding.state]} [bold]{finding.what:<9}[/bold]{escape_for_console(finding.words)}",
            highlight=False,
        )


def _python() -> Finding:
    words = f"Undertone {version('undertone')}, Python {platform.python_version()}, torch {version('torch')}"
    return Finding("versions", "ok", words)


def _settings(settings: Settings) -> tuple[State, str]:
    unknown = settings.unknown_variables()
    if unknown:
        return "note", "; ".join(unknown)
    return "ok", f"set: {', '.join(sorted(settings.model_fields_set)) or 'none, all by default'}"


def _places(settings: Settings) -> tuple[State, str]:  # noqa: ARG001 - every check has this form
    home = home_folder(os.environ)
    words = f"temporary files in {tempfile.gettempdir()}, Prefect's state in {prefect_home()}"
    if home is None or not is_writable(home):
        return "note", f"HOME={home or ''} cannot be written: {words}; set HOME, or PREFECT_HOME and XDG_STATE_HOME"
    return "ok", words


def _corpus(settings: Settings) -> tuple[State, str]:
    from features.corpus.listing import list_objects

    corpus = settings.open_corpus()
    objects = list(itertools.islice(list_objects(corpus, None), 3))
    where = corpus.manifest or corpus.root
    if not objects:
        return "note", f"{where} can be listed and is empty"
    return "ok", f"{where}, layout {corpus.layout}; for example {objects[0].uri} of {objects[0].date}"


def _lake(settings: Settings) -> tuple[State, str]:
    lake = settings.open_lake()
    require_conditional_writes(lake)
    tables = [name for name in lake.names("analytics") if name in TABLE_KEYS]
    return "ok", f"{lake.uri} can be written, conditionally too; tables: {', '.join(tables) or 'none yet'}"


def _registry(settings: Settings) -> tuple[State, str]:
    from models.registry.addresses import without_password
    from models.registry.artifact import MODEL_NAMES
    from models.registry.shipped import newer_shipped

    lake = settings.open_lake()
    registry = settings.open_registry(lake)
    uri = without_password(registry.uri)
    champions = ", ".join(registry.champion(name).label for name in MODEL_NAMES)
    newer = [words for name in MODEL_NAMES if (words := newer_shipped(registry, name))]
    passed_over = [f"{name}={os.environ[name]}" for name in settings.mlflow_variables_passed_over()]
    if uri.startswith("sqlite") and not lake.is_local:
        uri += " is this machine's own; set UNDERTONE_REGISTRY to a shared MLflow server"
    elif not passed_over and not newer:
        return "ok", f"{uri}; @champion: {champions}"
    words = f"; passed over, because they are for MLflow's own runs: {', '.join(passed_over)}" if passed_over else ""
    return "note", "; ".join([f"{uri}; @champion: {champions}{words}", *newer])


def _speakers(settings: Settings) -> tuple[State, str]:
    from tasks.speakers.gallery import voiceprints
    from tasks.speakers.lookup import load_speakers

    lake = settings.open_lake()
    speakers = load_speakers(lake)
    extractor = settings.open_registry(lake).champion("speaker").metadata["extractor_digest"]
    comparable = {voice.speaker_id for voice in voiceprints(speakers, extractor)}
    rows = speakers.select("speaker_id", "name", "kind").to_dicts()
    enrolled = {row["speaker_id"]: row["name"] for row in rows if row["kind"] == "enrolled"}
    n_found = sum(row["kind"] == "found" for row in rows)
    stale = [name for speaker_id, name in enrolled.items() if speaker_id not in comparable]
    if not stale:
        return "ok", f"{len(enrolled)} known by name, {n_found} found"
    return (
        "note",
        f"{len(stale)} of {len(enrolled)} known by name are in the space of another encoder than the champion's: "
        f"{', '.join(stale[:5])}{', …' if len(stale) > 5 else ''}; the next run that reads audio reads their "
        "recordings again, or enroll them again",
    )


def _compute(settings: Settings) -> tuple[State, str]:
    import torch

    from flows.workers.dask import cluster_kind, n_workers

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    kind = cluster_kind(settings)
    if gpus and kind != "cuda":
        return "note", f"{', '.join(gpus)} would be used with the extra: pip install 'undertone[cuda]'"
    words = f"cluster {kind}, {n_workers(settings)} workers; GPUs: {', '.join(gpus) or 'none'}"
    ignored = sorted(name for name in os.environ if name.startswith("DASK_") and not name.startswith("DASK_LOGGING"))
    if ignored and "://" not in kind:
        words += f"; ignored by a cluster of our own: {', '.join(ignored)}"
    return "ok", words


def _prefect(settings: Settings) -> tuple[State, str]:  # noqa: ARG001 - every check has this form
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        return "ok", "no server is set (PREFECT_API_URL): the command runs its flows by itself"
    import httpx

    answer = httpx.get(f"{api}/health", timeout=5)
    return ("ok", api) if answer.is_success else ("missing", f"{api} answers {answer.status_code}")


def _notify(settings: Settings) -> tuple[State, str]:
    from flows.notifications.apprise import receivers

    targets = receivers(settings.notify)
    if not targets:
        return (
            "ok",
            "nobody is told of failed runs, stopped publications and drift; UNDERTONE_NOTIFY names who should be",
        )
    unreached = [receiver.name for receiver in targets if receiver.service is None]
    if unreached:
        return "missing", f"{', '.join(unreached)}: see https://appriseit.com/services/ for how URLs are written"
    return "ok", f"of {', '.join(settings.notify_on)}: {', '.join(receiver.name for receiver in targets)}"


def try_receivers(flags: dict[str, Any]) -> Finding:
    """Send a trial message to every receiver, and return which of them accepted it."""
    from flows.notifications.apprise import Message, receivers, send

    targets = receivers(Settings.load(**flags).notify)
    if not targets:
        return Finding("trial", "missing", "there is nobody to tell: set UNDERTONE_NOTIFY")
    unreached = send(
        targets, Message("Undertone: a trial", "This is how failed runs, stopped publications and drift arrive.")
    )
    reached = ", ".join(receiver.name for receiver in targets if receiver not in unreached)
    if unreached:
        names = ", ".join(receiver.name for receiver in unreached)
        return Finding("trial", "missing", f"{names} did not take it" + (f"; {reached} did" if reached else ""))
    return Finding("trial", "ok", f"{reached} took it")


def _extras(settings: Settings) -> tuple[State, str]:  # noqa: ARG001
    there = {
        name: importlib.util.find_spec(module) is not None for name, module in (("demo", "moto"), ("cuda", "dask_cuda"))
    }
    return "ok", ", ".join(f"{name} {'installed' if have else 'not installed'}" for name, have in there.items())
