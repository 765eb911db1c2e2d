"""Flags that several commands share."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import data_contracts.lake
    from models.registry.mlflow_registry import Registry

Corpus = Annotated[str | None, typer.Option(help="Where the audio is (UNDERTONE_CORPUS).", show_default=False)]
Lake = Annotated[str | None, typer.Option(help="Where features and tables are (UNDERTONE_LAKE).", show_default=False)]
Layout = Annotated[
    str | None,
    typer.Option(help="How objects lie by date: a template such as '{root}/{date:%Y/%m/%d}/', or 'modified'."),
]
Manifest = Annotated[
    str | None, typer.Option(help="A Parquet, CSV or JSONL with a `uri` column, instead of a listing.")
]
Cluster = Annotated[str | None, typer.Option(help="auto, threads, processes, cuda or tcp://HOST:PORT.")]
FromDate = Annotated[dt.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First date.")]
ToDate = Annotated[dt.datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last date, included.")]
Force = Annotated[bool, typer.Option("--force", help="Do again what is done already.")]
Model = Annotated[str, typer.Argument(help="emotion or speaker", metavar="emotion|speaker")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]


def given_flags(**flags: Any) -> dict[str, Any]:
    """Return the flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


def require_model(name: str) -> Any:
    """Return the name of a model. Raises UsageError where there is no such model."""
    from data_contracts.errors import UsageError
    from models.registry.artifact import MODEL_NAMES

    if name not in MODEL_NAMES:
        raise UsageError(f"expected a model, {' or '.join(MODEL_NAMES)}; found {name!r}")
    return name


def open_lake(lake: str | None) -> "data_contracts.lake.Lake":
    """Open the lake that the flag or the settings name. Raises UsageError where neither does."""
    from flows.settings import Settings

    return Settings.load(**given_flags(lake=lake)).open_lake()


def open_registry(lake: str | None) -> "Registry":
    """Open the model registry that belongs to the lake of the flag or the settings."""
    from flows.settings import Settings

    settings = Settings.load(**given_flags(lake=lake))
    return settings.open_registry(settings.open_lake())
