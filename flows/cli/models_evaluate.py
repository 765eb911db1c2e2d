"""`undertone models evaluate`: figures of a model on labelled speech, or of the published tables on conversations."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import UsageError
from flows.cli.options import FromDate, Json, Lake, ToDate, given_flags, open_lake, open_registry, require_model
from flows.terminal.screen import escape_for_console, make_console

console = make_console()
_CONVERSATIONS = "conversations"
_MAX_NAMED = 5  # files in a sentence, at most


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(evaluate)


def evaluate(
    name: Annotated[
        str, typer.Argument(help="emotion, speaker or conversations", metavar="emotion|speaker|conversations")
    ],
    corpus: Annotated[
        str | None, typer.Option(help="Of a model, a folder with labels.csv: path, speaker, emotion.")
    ] = None,
    calm: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Of emotion, a folder of calm speech without labels: is it called neutral?"),
    ] = None,
    version: Annotated[str, typer.Option(help="Of a model, a version's number or alias.")] = "champion",
    reference: Annotated[
        Path | None,
        typer.Option(help="Of conversations, who speaks when: RTTM, or CSV with file,start_s,end_s,speaker."),
    ] = None,
    start: FromDate = None,
    end: ToDate = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="RUN|TIME", help="Of conversations, the tables as a run left them, or as of a time."),
    ] = None,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Evaluate a version on a labelled folder, or the published utterances on a reference of who speaks when.

    Without a lake, the shipped model is evaluated. The protocol of the figures is named with them.
    """
    if name == _CONVERSATIONS:
        _refuse("conversations are those of the lake", corpus=corpus, calm=calm)
        answer = _evaluate_conversations(reference, start, end, as_of=as_of, lake=lake)
        if not as_json:
            _print_conversations(answer)
            return
    else:
        _refuse("that is of conversations", reference=reference, start=start, end=end, as_of=as_of)
        if name != "emotion" or corpus is not None:
            _refuse("that is of emotion, without --corpus", calm=calm)
        answer = _evaluate_model(name, corpus, calm, version=version, lake=lake)
    if as_json:
        print(json.dumps(answer))
        return
    for key, value in answer.items():
        console.print(f"[bold]{key:<14}[/bold]{format_figures(value)}", highlight=False, soft_wrap=True)


def format_figures(value: Any) -> str:
    """Return a figure, or several by their names, as people read them.

    >>> format_figures({"uar": 0.81234, "n": 3})
    'uar 0.812, n 3'
    """
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {format_figures(item)}" for key, item in value.items())
    return str(value)


def _refuse(why: str, **flags: Any) -> None:
    given = [name for name, value in flags.items() if value is not None]
    if given:
        names = {"start": "--from", "end": "--to", "as_of": "--as-of"}
        found = ", ".join(names.get(name, f"--{name}") for name in given)
        raise UsageError(f"expected no {found} here: {why}; see `undertone models evaluate --help`")


def _evaluate_model(
    name: str, corpus: str | None, calm: str | None, *, version: str, lake: str | None
) -> dict[str, Any]:
    from models.data.labels_file import read_labels

    if corpus is not None:
        read_labels([Path(corpus)])  # before anything heavy is imported
    require_model(name)
    if corpus is None and calm is None:
        raise UsageError(f"expected --corpus DIR, a folder with labels.csv, to evaluate {name} on; found none")
    if calm is not None and not Path(calm).is_dir():
        raise UsageError(f"expected a folder of recordings for --calm, found none at {calm}: check the path")
    from flows.settings import Settings
    from models import WEIGHTS, promotion

    settings = Settings.load(**given_flags(lake=lake))
    if settings.lake:
        from models.registry.compatibility import check_features
        from models.registry.loading import weights_folder

        registry = open_registry(lake)
        ref = registry.champion(name) if version == "champion" else registry.version(name, version)
        check_features(ref)
        folder, label = weights_folder(ref), ref.label
        voices = weights_folder(registry.champion("speaker"))
    else:
        folder, voices = WEIGHTS / name, WEIGHTS / "speaker"
        label = f"{name}, as shipped"
    if calm is not None:
        prior = settings.emotion_prior
        return {"model": label, **promotion.evaluate_calm(folder, Path(calm), voices=voices, emotion_prior=prior)}
    return {"model": label, **promotion.evaluate(name, folder, Path(str(corpus)), voices=voices)}


def _evaluate_conversations(
    reference: Path | None, start: dt.datetime | None, end: dt.datetime | None, *, as_of: str | None, lake: str | None
) -> dict[str, Any]:
    from flows.analytics.conversations import evaluate_conversations
    from flows.dates import date_range

    if reference is None:
        raise UsageError(
            "expected --reference FILE to evaluate conversations on, RTTM or CSV with the columns "
            "file,start_s,end_s,speaker; found none"
        )
    dates = date_range(*(day.date() if day else None for day in (start, end)))
    return evaluate_conversations(open_lake(lake), reference, dates=dates, as_of=as_of)


def _print_conversations(answer: dict[str, Any]) -> None:
    """Print the rates, the speakers, and what was left out or missing."""
    import pyarrow as pa

    from flows.terminal.summary import rich_table

    one, parts = answer["one_mapping"], ("der", "miss", "false_alarm", "confusion")
    rows = [
        {"speakers mapped": mapped, "collar": collar, **{part: f"{rates[part]:.1%}" for part in parts}}
        for mapped, collar, rates in (
            ("in each recording", "none", answer),
            ("in each recording", "0.25 s", answer["with_collar"]),
            ("over all", "none", one),
            ("over all", "0.25 s", one["with_collar"]),
        )
    ]
    console.print(rich_table(pa.Table.from_pylist(rows)))
    console.print(
        f"{answer['recordings']} recordings, {answer['reference_s'] / 60:.1f} minutes of speech. Speakers: "
        f"{answer['speakers_found']} found, {answer['speakers_true']} true; as many as true in "
        f"{answer['recordings_counted_right']} recordings. Purity {answer['purity']:.3f}, coverage "
        f"{answer['coverage']:.3f}.",
        highlight=False,
    )
    missing = [f"{each['file']} ({each['why']})" for each in answer["not_published"]]
    for what, files in (
        ("Not published, counted as missed", missing),
        ("Published without a reference, left out", answer["without_reference"]),
        ("In the reference, outside the dates, left out", answer["outside_dates"]),
    ):
        if files:
            named = ", ".join(files[:_MAX_NAMED]) + (", …" if len(files) > _MAX_NAMED else "")
            console.print(escape_for_console(f"{what}: {len(files)}, {named}"), highlight=False, soft_wrap=True)
