"""Training flow: a model from labelled speech, registered as a challenger."""

import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import UsageError
from data_contracts.records import ModelRef
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.settings import Settings


class Taught(NamedTuple):
    """Folders of a speaker model's teachers, and whether any licence of the data will do."""

    teachers: str | None = None
    dvector: str | None = None
    cache: str | None = None
    any_licence: bool = False


@flow(name="train", **NOTIFY_HOOKS)
def train(
    name: Literal["emotion", "speaker"],
    corpora: list[str],
    classes: list[str] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    teachers: str | None = None,
    dvector: str | None = None,
    cache: str | None = None,
    any_licence: bool = False,
) -> ModelRef:
    """Train `name` on folders with a `labels.csv` and register the result under `@challenger`.

    `classes` are the emotions to distinguish, by any of their names; the shipped four where none are given. `teachers`
    is the folder of the encoders that teach a speaker model, `dvector` that of Resemblyzer's wheel where it lies
    elsewhere, `cache` keeps what they say. A model learns from data whose licence asks for more than attribution only
    with `any_licence`.
    """
    if not corpora:
        raise UsageError("training needs at least one folder with a labels.csv: --corpus DIR")
    if classes and (name != "emotion" or len(set(classes)) < 2):
        raise UsageError(f"expected two classes or more of a model of emotion; found {', '.join(classes)} for {name}")
    if teachers and name != "speaker":
        raise UsageError("expected --teachers with a speaker model alone: no other model has teachers")
    taught_by = Taught(teachers, dvector, cache, any_licence)
    loaded = Settings.load(**(settings or {}))
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(corpus) for corpus in corpora]
        metrics = fit(name, folders, Path(folder), classes=classes, seed=seed, taught_by=taught_by)
        return register(loaded, name, Path(folder), metrics, corpora)


@task(cache_policy=NO_CACHE, persist_result=False)
def fit(
    name: Literal["emotion", "speaker"],
    corpora: list[Path],
    out: Path,
    *,
    classes: list[str] | None,
    seed: int,
    taught_by: Taught,
) -> dict[str, Any]:
    """Train into `out`, with the card beside the weights, and return the metrics."""
    from models.data.provenance import record
    from models.registry.cards import write_card

    if name == "emotion":
        from models.data.emotion_labels import emotion_named
        from models.emotion.model import CLASSES
        from models.emotion.training import train_emotion

        emotions = [emotion_named(label) for label in classes or CLASSES]
        metrics = train_emotion(corpora, out, classes=emotions, seed=seed, any_licence=taught_by.any_licence)
    else:
        metrics = _train_speaker(corpora, out, seed=seed, taught_by=taught_by)
    record(out, corpora)
    if not (out / "README.md").exists():
        write_card(out, name=name, metrics=metrics)
    return metrics


def _train_speaker(corpora: list[Path], out: Path, *, seed: int, taught_by: Taught) -> dict[str, Any]:
    from models.speaker.training import train_speaker, train_student

    if not taught_by.teachers:
        return train_speaker(corpora, out, seed=seed, any_licence=taught_by.any_licence)
    from models.speaker.teachers import Teachers

    dvector, cache = (Path(folder) if folder else None for folder in (taught_by.dvector, taught_by.cache))
    teachers = Teachers.load(Path(taught_by.teachers), dvector=dvector, cache=cache)
    return train_student(corpora, teachers, out, seed=seed, any_licence=taught_by.any_licence)


@task(cache_policy=NO_CACHE, persist_result=False)
def register(settings: Settings, name: str, folder: Path, metrics: dict[str, Any], corpora: list[str]) -> ModelRef:
    """Register a version under `@challenger`; the champion stays, or becomes the shipped model where there was none."""
    from models.registry.mlflow_registry import CHALLENGER

    registry = settings.open_registry(settings.open_lake())
    if not registry.versions(name):
        registry.champion(name)
    words = f"trained on {', '.join(corpora)}"
    return registry.register(name, folder, alias=CHALLENGER, description=words, metrics=metrics)
