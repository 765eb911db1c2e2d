"""Fixtures for notebooks: one small lake a session, and a runner of notebooks in this process."""

import csv
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.once import make_once
from helpers.paths import ROOT

from flows.backfill import backfill
from models.registry.mlflow_registry import Registry

NOTEBOOKS = ROOT / "notebooks"
EMOTIONS = ("anger", "happiness", "neutral", "sadness")


@pytest.fixture(scope="session")
def lake(sample: Path, _prefect: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lake of two nights of four voices, and a rejected file; a copy for this process alone."""

    def make(folder: Path) -> Path:
        for path in sorted(sample.rglob("call-*")):
            if path.parent.name != "21" and not path.stem.endswith(("voice-e", "voice-f")):
                place = folder / "corpus" / path.relative_to(sample)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
        settings = {"corpus": str(folder / "corpus"), "lake": str(folder / "lake"), "cluster": "threads"}
        settings["emotion_prior"] = "balanced"  # several emotions among calm voices
        settings["registry"] = (
            f"sqlite:///{folder / 'lake' / 'registry' / 'mlflow.db'}"  # whatever the environment sets
        )
        backfill(settings=settings)
        return folder

    folder = make_once(tmp_path_factory, "notebooks", make)
    return shutil.copytree(folder, tmp_path_factory.mktemp("notebooks") / "own") / "lake"


@pytest.fixture(scope="session")
def labels(lake: Path) -> Path:
    """Labels of the lake's recordings, with made-up emotions."""
    return _write_labels(lake.parent / "corpus", lake.parent)


@pytest.fixture
def acted(sample: Path, tmp_path: Path) -> Path:
    """Folder of labelled recordings of two voices that are not in the lake."""
    for path in sorted(sample.rglob("call-*-voice-[ef].flac"))[:6]:
        shutil.copy(path, tmp_path / path.name)
    return _write_labels(tmp_path, tmp_path).parent


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runner of a notebook with a command's arguments; returns the names that its cells define."""

    def with_arguments(name: str, *arguments: object) -> dict[str, Any]:
        path = NOTEBOOKS / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), "--", *map(str, arguments)])
        spec = importlib.util.spec_from_file_location(f"notebook_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return dict(module.app.run()[1])

    return with_arguments


@pytest.fixture(scope="session")
def registry(lake: Path) -> Registry:
    return Registry(f"sqlite:///{lake / 'registry' / 'mlflow.db'}")


def _write_labels(folder: Path, into: Path) -> Path:
    files = [path for path in sorted(folder.rglob("call-*-voice-*")) if path.stat().st_size]
    rows = [(path.relative_to(folder), path.stem[10:17], EMOTIONS[n % 4]) for n, path in enumerate(files)]
    with (into / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion"), *rows])
    return into / "labels.csv"
