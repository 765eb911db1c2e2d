"""`undertone models train`; the other commands of models are registered here."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import models_add, models_evaluate, models_promote, models_pull, models_show
from flows.cli.models_evaluate import format_figures
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
    teachers: Annotated[
        str | None, typer.Option(help="Of a speaker model, a folder of encoders that teach it; without, labels alone.")
    ] = None,
    dvector: Annotated[str | None, typer.Option(help="The folder of Resemblyzer's wheel, if it is another.")] = None,
    cache: Annotated[str | None, typer.Option(help="A folder that keeps what the teachers say.")] = None,
    any_licence: Annotated[
        bool,
        typer.Option("--any-licence", help="Data that is not free for any use takes part."),
    ] = False,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Train a model on labelled speech and register it as @challenger; the champion stays until one is promoted."""
    from models.data.labels_file import read_labels

    read_labels(Path(folder) for folder in corpus)  # before anything heavy is imported
    from flows.train import train as flow

    labels = [label.strip() for label in classes.split(",")] if classes else None
    settings = given_flags(lake=lake)
    taught: dict[str, Any] = {"teachers": teachers, "dvector": dvector, "cache": cache, "any_licence": any_licence}
    ref = flow(name=require_model(name), corpora=corpus, classes=labels, seed=seed, settings=settings, **taught)
    metrics, card = open_registry(lake).metrics_and_card(ref)
    if as_json:
        version = {"model": ref.name, "version": ref.version, "digest": ref.digest}
        print(json.dumps({**version, "metrics": metrics, "card": card}))
        return
    overall = {key: value for key, value in metrics.items() if "/" not in key}
    console.print(f"Of speakers that the judged model had not heard: {format_figures(overall)}.", highlight=False)
    console.print(f"Card: {card}", highlight=False, soft_wrap=True)
    console.print(f"{ref.label} is registered as @challenger. `undertone models promote {name} {ref.version}` uses it.")


models_evaluate.add_to(app)
models_add.add_to(app)
models_promote.add_to(app)
models_pull.add_to(app)
