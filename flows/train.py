"""The flow that trains a model on labelled speech and registers it as a challenger."""

import tempfile
from pathlib import Path
from typing import Any, Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import UsageError
from data_contracts.records import ModelRef
from flows.settings import Settings


@flow(name="train")
def train(
    name: Literal["emotion", "speaker"], corpora: list[str], seed: int = 0, settings: dict[str, Any] | None = None
) -> ModelRef:
    """Trains `name` on folders with a `labels.csv` and registers the result under `@challenger`."""
    if not corpora:
        raise UsageError("training needs at least one folder with a labels.csv: --corpus DIR")
    chosen = Settings.load(**(settings or {}))
    with tempfile.TemporaryDirectory() as folder:
        metrics = fit(name, [Path(corpus) for corpus in corpora], Path(folder), seed=seed)
        return register(chosen, name, Path(folder), metrics, corpora)


@task(cache_policy=NO_CACHE, persist_result=False)
def fit(name: str, corpora: list[Path], out: Path, *, seed: int) -> dict[str, Any]:
    """Trains into `out` and returns the metrics."""
    if name == "emotion":
        from models.train_emotion import train_emotion

        return train_emotion(corpora, out, seed=seed)
    from models.train_speaker import train_speaker

    return train_speaker(corpora, out, seed=seed)


@task(cache_policy=NO_CACHE, persist_result=False)
def register(settings: Settings, name: str, folder: Path, metrics: dict[str, Any], corpora: list[str]) -> ModelRef:
    """A new version under `@challenger`; the champion stays."""
    from models.registry import CHALLENGER

    lake = settings.open_lake()
    registry = settings.open_registry(lake)
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    words = f"trained on {', '.join(corpora)}"
    return registry.register(name, folder, alias=CHALLENGER, description=words, metrics=numbers)
