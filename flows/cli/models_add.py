"""`undertone models add`: shipped weights into a registry that began with earlier ones."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import Json, Lake, open_registry
from flows.terminal.screen import escape_for_console, make_console

if TYPE_CHECKING:
    from models.registry.shipped import Added

console = make_console()


class Weights(StrEnum):
    shipped = "shipped"
    research = "research"


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(add)


def add(
    weights: Annotated[Weights, typer.Argument(help="shipped: for any use. research: not for commercial use.")],
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Register weights that come with Undertone as @challenger: the newest shipped ones, or those for research.

    A registry keeps the models that it began with. Nothing is promoted, and what is registered already stays one
    version.
    """
    registry = open_registry(lake)
    from models.registry.shipped import add_shipped

    found = add_shipped(registry, weights.value)
    if as_json:
        print(json.dumps([_record(item) for item in found]))
        return
    for item in found:
        _print(item)


def _record(item: "Added") -> dict[str, object]:
    version = {"model": item.ref.name, "version": item.ref.version, "digest": item.ref.digest}
    return {**version, "licence": item.licence, "registered": item.is_new, "champion": item.is_champion}


def _print(item: "Added") -> None:
    from models.registry.licences import is_non_commercial

    ref = item.ref
    state = "is registered as @challenger" if item.is_new else "is registered already"
    state = "is @champion already" if item.is_champion else state
    lines = [f"{ref.label} {state}. Licence: {item.licence}."]
    if is_non_commercial(item.licence):
        lines.append("These weights are not for commercial use.")
    if not item.is_champion:
        promote = f"undertone models promote {ref.name} {ref.version}"
        lines.append(f"`{promote} --corpus DIR` compares it with the champion on labelled speech, and uses it;")
        lines.append(f"`{promote} --force --reason TEXT` uses it all the same. `undertone models rollback` goes back.")
    for line in lines:
        console.print(escape_for_console(line), highlight=False, soft_wrap=True)
