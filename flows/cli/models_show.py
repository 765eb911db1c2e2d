"""`undertone models list` and `show`: registered versions and their cards."""

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import Json, Lake, Model, open_registry, require_model
from flows.terminal.screen import make_console

if TYPE_CHECKING:
    from models.registry.mlflow_registry import ModelVersion

console = make_console()


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command("list")(list_versions)
    app.command()(show)


def list_versions(lake: Lake = None, as_json: Json = False) -> None:
    """List the registered versions: their aliases, since when, and under what licence."""
    import pyarrow as pa

    from flows.terminal.output import print_rows
    from models.registry.artifact import MODEL_NAMES

    registry = open_registry(lake)
    for name in MODEL_NAMES:
        registry.champion(name)
    versions = [_row(item) for name in MODEL_NAMES for item in registry.versions(name)]
    print_rows(console, pa.Table.from_pylist(versions), style="json" if as_json else "table")


def show(
    name: Model,
    version: Annotated[str, typer.Argument(help="The version's number, or an alias.")] = "champion",
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Print a version's model card; with --json also its figures and its history."""
    from models.registry import loading
    from models.registry.history import read_changes

    models = open_registry(lake)
    if not models.versions(require_model(name)):
        models.champion(name)
    ref = models.version(name, version)
    card = loading.read_card(ref)
    (registered,) = (item for item in models.versions(name) if item.version == ref.version)
    if not as_json:
        row = _row(registered)
        print(f"{ref.label} {row['aliases']}".rstrip() + f" · licence: {row['licence'] or 'not said'}\n")
        print(card or f"{ref.label} has no card: nobody wrote a README.md into its folder.")
        return
    metrics, place = models.metrics_and_card(ref)
    history = [change for change in read_changes(models, name) if ref.label in {change["version"], change["replaced"]}]
    answer = {"label": ref.label, **_row(registered), "metadata": ref.metadata, "metrics": metrics, "card_at": place}
    print(json.dumps({**answer, "card": card, "tags": dict(registered.tags), "changes": history}, default=str))


def _row(item: "ModelVersion") -> dict[str, Any]:
    tags = {key.removeprefix("undertone."): value for key, value in item.tags.items()}
    forced = " (forced)" if tags.get("forced") == "true" else ""
    return {
        "model": item.name,
        "version": item.version,
        "aliases": ", ".join(f"@{alias}" for alias in item.aliases),
        "digest": item.digest[:8],
        "licence": tags.get("licence", ""),
        "registered": dt.datetime.fromtimestamp(item.created_ms / 1000, dt.UTC),
        "promoted": tags["promoted_at"][:10] + forced if "promoted_at" in tags else "",
        "rolled back": tags.get("rolled_back_at", "")[:10],
        "description": item.description,
    }
