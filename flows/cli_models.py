"""The commands about models: list, train, evaluate, promote."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.options import Json, Lake, settings_of
from flows.screen import screen

app = typer.Typer(no_args_is_help=True, help="The emotion and speaker models: their versions, training and evaluation.")
console = screen()
Name = Annotated[str, typer.Argument(help="emotion or speaker", metavar="emotion|speaker")]


@app.command("list")
def list_versions(lake: Lake = None, as_json: Json = False) -> None:
    """The registered versions, and which of them is @champion."""
    import datetime as dt

    import pyarrow as pa

    from flows.show import rows
    from models.registry import NAMES

    registry = _registry(lake)
    for name in NAMES:
        registry.champion(name)
    found = [
        {
            "model": item.name,
            "version": item.version,
            "aliases": ", ".join(f"@{alias}" for alias in item.aliases),
            "digest": item.digest[:8],
            "registered": dt.datetime.fromtimestamp(item.created_ms / 1000, dt.UTC),
            "description": item.description,
        }
        for name in NAMES
        for item in registry.versions(name)
    ]
    rows(console, pa.Table.from_pylist(found), style="json" if as_json else "table")


@app.command()
def train(
    name: Name,
    corpus: Annotated[list[str], typer.Option(help="A folder with labels.csv (path, speaker, emotion); repeatable.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Trains a model on labelled speech and registers it as @challenger; the champion stays until one is promoted."""
    from flows.train import train as flow

    ref = flow(name=_known(name), corpora=corpus, seed=seed, settings=settings_of(lake=lake))
    if as_json:
        print(json.dumps({"model": ref.name, "version": ref.version, "digest": ref.digest}))
        return
    console.print(f"{ref.label} is registered as @challenger. `undertone models promote {name} {ref.version}` uses it.")


@app.command()
def evaluate(
    name: Name,
    corpus: Annotated[str, typer.Option(help="A folder with labels.csv: path, speaker, emotion.")],
    version: Annotated[str, typer.Option(help="A version's number or alias.")] = "champion",
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """How good is a version on a labelled folder? Says what protocol the figures come from.

    Without a lake, the shipped model is evaluated.
    """
    answer = _evaluated(_known(name), Path(corpus), version=version, lake=lake)
    if as_json:
        print(json.dumps(answer))
        return
    for key, value in answer.items():
        console.print(f"[bold]{key:<14}[/bold]{_words(value)}", highlight=False, soft_wrap=True)


@app.command()
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version's number, or `challenger`.")],
    lake: Lake = None,
) -> None:
    """Makes a version the champion: the next run uses it. The one before stays as @previous."""
    ref = _registry(lake).promote(_known(name), version)
    encoder = "; an encoder with another digest reads the audio again: leave --stage out" if name == "speaker" else ""
    console.print(
        f"{ref.label} is @champion now. For nights gone: `undertone backfill --from D --to D --stage score`{encoder}.",
        highlight=False,
    )


def _evaluated(name: str, corpus: Path, *, version: str, lake: str | None) -> dict[str, Any]:
    import models
    from flows.settings import Settings
    from models.emotion import EmotionModel
    from models.evaluate_emotion import evaluate_emotion
    from models.evaluate_speaker import evaluate_speaker
    from models.speaker import SpeakerModel

    settings = Settings.load(**settings_of(lake=lake))
    if settings.lake:
        from models.registry import weights_folder

        registry = _registry(lake)
        ref = registry.champion(name) if version == "champion" else registry.version(name, version)
        folder, label = weights_folder(ref), ref.label
        voices = weights_folder(registry.champion("speaker"))
    else:
        shipped = Path(models.__file__).parent / "weights"
        folder, voices = shipped / name, shipped / "speaker"
        label = f"{name}, as shipped"
    if name == "emotion":
        answer = evaluate_emotion(EmotionModel.load(folder), corpus, speaker=SpeakerModel.load(voices))
    else:
        answer = evaluate_speaker(SpeakerModel.load(folder), corpus)
    return {"model": label, **answer}


def _registry(lake: str | None) -> Any:
    from flows.settings import Settings

    settings = Settings.load(**settings_of(lake=lake))
    return settings.open_registry(settings.open_lake())


def _known(name: str) -> Any:
    from data_contracts.errors import UsageError
    from models.registry import NAMES

    if name not in NAMES:
        raise UsageError(f"expected a model, {' or '.join(NAMES)}; found {name!r}")
    return name


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    return str(value)
