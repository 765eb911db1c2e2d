"""Training flow: a model from labelled speech, registered as a challenger."""

import tempfile
from pathlib import Path
from typing import Any, Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import UsageError
from data_contracts.records import ModelRef
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.settings import Settings


@flow(name="train", **NOTIFY_HOOKS)
def train(
    name: Literal["emotion", "speaker"],
    corpora: list[str],
    classes: list[str] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> ModelRef:
    """Train `name` on folders with a `labels.csv` and register the result under `@challenger`.

    `classes` are the emotions to distinguish, by any of their names; the shipped four where none are given.
    """
    if not corpora:
        raise UsageError("training needs at least one folder with a labels.csv: --corpus DIR")
    if classes and (name != "emotion" or len(set(classes)) < 2):
        raise UsageError(f"expected two classes or more of a model of emotion; found {', '.join(classes)} for {name}")
    loaded = Settings.load(**(settings or {}))
    with tempfile.TemporaryDirectory() as folder:
        metrics = fit(name, [Path(corpus) for corpus in corpora], Path(folder), classes=classes, seed=seed)
        return register(loaded, name, Path(folder), metrics, corpora)


@task(cache_policy=NO_CACHE, persist_result=False)
def fit(
    name: Literal["emotion", "speaker"], corpora: list[Path], out: Path, *, classes: list[str] | None, seed: int
) -> dict[str, Any]:
    """Train into `out`, with the card beside the weights, and return the metrics."""
    from models.data.provenance import record
    from models.registry.cards import write_card

    if name == "emotion":
        from models.data.emotion_labels import emotion_named
        from models.emotion.model import CLASSES
        from models.emotion.training import train_emotion

        emotions = [emotion_named(label) for label in classes or CLASSES]
        metrics = train_emotion(corpora, out, classes=emotions, seed=seed)
    else:
        from models.speaker.training import train_speaker

        metrics = train_speaker(corpora, out, seed=seed)
    record(out, corpora)
    if not (out / "README.md").exists():
        write_card(out, name=name, metrics=metrics)
    return metrics


@task(cache_policy=NO_CACHE, persist_result=False)
def register(settings: Settings, name: str, folder: Path, metrics: dict[str, Any], corpora: list[str]) -> ModelRef:
    """Register a version under `@challenger`; the champion stays, or becomes the shipped model where there was none."""
    from models.registry.mlflow_registry import CHALLENGER

    registry = settings.open_registry(settings.open_lake())
    if not registry.versions(name):
        registry.champion(name)
    words = f"trained on {', '.join(corpora)}"
    return registry.register(name, folder, alias=CHALLENGER, description=words, metrics=metrics)
