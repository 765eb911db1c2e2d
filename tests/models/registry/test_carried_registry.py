"""A registry that lies in a lake goes where the lake goes: moved, copied, linked, or under a name with odd letters."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.emotion_model import save_emotion_model

from models import serving
from models.registry import loading, mlflow_registry
from models.registry.mlflow_registry import Registry

Open = Callable[[Path], Registry]


@pytest.fixture
def opened(empty_database: Path, first: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the registry of a lake, with the shipped model in it where it is new."""
    monkeypatch.setattr(mlflow_registry, "_SHIPPED", first.parent)

    def do(lake: Path) -> Registry:
        folder = lake / "registry"
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copy(empty_database, folder / "mlflow.db")
        registry = Registry(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
        registry.champion("emotion")
        return registry

    return do


def _train(registry: Registry, folder: Path, seed: int = 2) -> None:
    ref = registry.register("emotion", save_emotion_model(folder, seed), alias="challenger", description="trained")
    registry.promote("emotion", ref.version)


def _is_whole(registry: Registry, lake: Path, version: str = "1") -> bool:
    """Every way to a version's files leads into the lake."""
    ref = registry.version("emotion", version)
    assert Path(ref.uri).is_relative_to(lake)
    assert loading.weights_folder(ref).is_relative_to(lake)
    assert loading.read_card(ref) == "A card.\n"
    _, card = registry.metrics_and_card(ref)
    assert Path(card).is_relative_to(lake)
    assert Path(card).is_file()
    return serving.emotion_model(ref).classes is not None


def test_a_moved_lake_goes_on(opened, tmp_path):
    before = opened(tmp_path / "lake").champion("emotion")
    shutil.move(tmp_path / "lake", tmp_path / "elsewhere" / "moved")
    moved = opened(tmp_path / "elsewhere" / "moved")
    assert moved.champion("emotion").label == before.label
    assert _is_whole(moved, tmp_path / "elsewhere" / "moved")
    _train(moved, tmp_path / "second")
    assert _is_whole(moved, tmp_path / "elsewhere" / "moved", "2")
    assert not (tmp_path / "lake").exists(), "nothing is written where the lake lay"
    shutil.move(tmp_path / "elsewhere" / "moved", tmp_path / "again")
    again = opened(tmp_path / "again")
    assert all(_is_whole(again, tmp_path / "again", version) for version in "12")


def test_a_copied_lake_is_on_its_own(opened, tmp_path):
    original = opened(tmp_path / "lake")
    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    files = sorted((tmp_path / "lake").rglob("*"))
    copy = opened(tmp_path / "copy")
    assert _is_whole(copy, tmp_path / "copy")
    _train(copy, tmp_path / "second")
    assert _is_whole(copy, tmp_path / "copy", "2")
    assert sorted((tmp_path / "lake").rglob("*")) == files
    assert [item.version for item in original.versions("emotion")] == ["1"]
    shutil.rmtree(tmp_path / "lake")
    assert all(_is_whole(opened(tmp_path / "copy"), tmp_path / "copy", version) for version in "12")


def test_one_lake_has_two_names(opened, tmp_path):
    """Mounted at two places, or linked: each name reads what was registered by the other."""
    by_name = opened(tmp_path / "lake")
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    by_link = opened(tmp_path / "link")
    _train(by_link, tmp_path / "second")
    _train(by_name, tmp_path / "third", seed=3)
    _train(by_link, tmp_path / "fourth", seed=4)
    for registry, place in ((by_name, "lake"), (by_link, "link")):
        assert all(_is_whole(registry, tmp_path / place, version) for version in "1234")


@pytest.mark.parametrize("name", ["My Projects", "Ünï cödé", "a+b&c;d", "it's 5 o'clock (maybe)", "{x}$y!~@z"])
def test_odd_letters_in_its_path(opened, tmp_path, name):
    lake = opened(tmp_path / name / "lake")
    assert _is_whole(lake, tmp_path / name / "lake")
    shutil.move(tmp_path / name, tmp_path / f"{name} 2")
    assert _is_whole(opened(tmp_path / f"{name} 2" / "lake"), tmp_path / f"{name} 2" / "lake")


def test_artifacts_that_never_were_in_the_lake_stay_where_they_are(opened, tmp_path):
    """A database that was copied alone reads what it always read."""
    before = opened(tmp_path / "lake").champion("emotion")
    (tmp_path / "alone" / "registry").mkdir(parents=True)
    shutil.copy(tmp_path / "lake" / "registry" / "mlflow.db", tmp_path / "alone" / "registry" / "mlflow.db")
    assert opened(tmp_path / "alone").champion("emotion") == before
