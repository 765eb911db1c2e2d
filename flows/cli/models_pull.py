"""`undertone models pull`: import of a model made elsewhere."""

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.options import Json, Lake, open_registry
from flows.terminal.screen import escape_for_console, make_console

console = make_console()


class ModelKind(StrEnum):
    emotion = "emotion"
    speaker = "speaker"


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(pull)


def pull(
    source: Annotated[str, typer.Argument(help="OWNER/NAME on the hub; with --from only a name for the card.")],
    place: Annotated[
        str | None, typer.Option("--from", help="A folder or an s3:// prefix that holds the model; no network then.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="The hub's commit, tag or branch; the commit is noted.")] = None,
    wanted: Annotated[ModelKind | None, typer.Option("--as", help="Refuse it unless it is a model for this.")] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Labelled speech that sets a speaker model's threshold; repeatable.")
    ] = None,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Register somebody else's model as @challenger: WeSpeaker's, SpeechBrain's, or one of transformers for audio.

    Its weights are converted, its code is never run. Emotion models are split into an extractor, whose vectors become a
    feature set, and a head. Models of transformers need the extra `hub`.
    """
    registry = open_registry(lake)
    from models.pretrained.pull import pull_model
    from models.registry.mlflow_registry import CHALLENGER

    with tempfile.TemporaryDirectory() as work:
        kind: Any = wanted.value if wanted else None
        corpora = [Path(item) for item in corpus or []]
        pulled = pull_model(source, Path(work), place=place, revision=revision, wanted=kind, corpora=corpora)
        if not registry.versions(pulled.name):
            registry.champion(pulled.name)
        origin = pulled.origin
        words = f"pulled: {source}" + (f" at {origin.revision}" if origin.revision else f" from {origin.place}")
        ref = registry.register(
            pulled.name, pulled.folder, alias=CHALLENGER, description=words, metrics=pulled.metrics or None
        )
    if as_json:
        version = {"model": ref.name, "version": ref.version, "digest": ref.digest, "kind": ref.metadata["kind"]}
        print(json.dumps({**version, **origin.record(), "remarks": pulled.remarks, "metrics": pulled.metrics}))
        return
    outputs = [*ref.metadata.get("classes", []), *ref.metadata.get("dimensions", [])]
    lines = [f"P{words[1:]}", f"Licence {origin.licence}", *([f"Outputs {', '.join(outputs)}"] if outputs else [])]
    for line in (*lines, *pulled.remarks):
        console.print(escape_for_console(f"{line}."), highlight=False, soft_wrap=True)
    console.print(
        f"{ref.label} is registered as @challenger. `undertone models promote {ref.name} {ref.version} --force` "
        "uses it (what it was trained on is not known, so no evaluation is fair); nights gone have to be read again.",
        highlight=False,
        soft_wrap=True,
    )
