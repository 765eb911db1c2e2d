"""`undertone models train` and `evaluate`; the other commands of models are registered here."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import models_add, models_promote, models_pull, models_show
from flows.cli.options import Json, Lake, Model, given_flags, open_registry, require_model
from flows.terminal.screen import make_console

app = typer.Typer(no_args_is_help=True, help="The emotion and speaker models: their versions, training and evaluation.")
console = make_console()
models_show.add_to(app)


@app.command()
def train(
    name: Model,
    corpus: Annotated[list[str], typer.Option(help="A folder with labels.csv (path, speaker, emotion); repeatable.")],
    classes: Annotated[
        str | None, typer.Option(help="Of emotion, the classes: any labels, with commas. Default: the shipped four.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Train a model on labelled speech and register it as @challenger; the champion stays until one is promoted."""
    from models.data.labels_file import read_labels

    read_labels(Path(folder) for folder in corpus)  # before anything heavy is imported
    from flows.train import train as flow

    labels = [label.strip() for label in classes.split(",")] if classes else None
    settings = given_flags(lake=lake)
    ref = flow(name=require_model(name), corpora=corpus, classes=labels, seed=seed, settings=settings)
    metrics, card = open_registry(lake).metrics_and_card(ref)
    if as_json:
        version = {"model": ref.name, "version": ref.version, "digest": ref.digest}
        print(json.dumps({**version, "metrics": metrics, "card": card}))
        return
    overall = {key: value for key, value in metrics.items() if "/" not in key}
    console.print(f"Of speakers that the judged model had not heard: {_format(overall)}.", highlight=False)
    console.print(f"Card: {card}", highlight=False, soft_wrap=True)
    console.print(f"{ref.label} is registered as @challenger. `undertone models promote {name} {ref.version}` uses it.")


@app.command()
def evaluate(
    name: Model,
    corpus: Annotated[str, typer.Option(help="A folder with labels.csv: path, speaker, emotion.")],
    version: Annotated[str, typer.Option(help="A version's number or alias.")] = "champion",
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Evaluate a version on a labelled folder, and name the protocol of the figures.

    Without a lake, the shipped model is evaluated.
    """
    from models.data.labels_file import read_labels

    read_labels([Path(corpus)])  # before anything heavy is imported
    answer = _evaluate(require_model(name), Path(corpus), version=version, lake=lake)
    if as_json:
        print(json.dumps(answer))
        return
    for key, value in answer.items():
        console.print(f"[bold]{key:<14}[/bold]{_format(value)}", highlight=False, soft_wrap=True)


models_add.add_to(app)
models_promote.add_to(app)
models_pull.add_to(app)


def _evaluate(name: str, corpus: Path, *, version: str, lake: str | None) -> dict[str, Any]:
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
    return {"model": label, **promotion.evaluate(name, folder, corpus, voices=voices)}


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format(item)}" for key, item in value.items())
    return str(value)
