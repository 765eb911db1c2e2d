"""The built wheel: it holds every module and file of the repository's packages, and all of it can be imported."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.paths import ROOT

PACKAGES = ("undertone", "data_contracts", "features", "models", "tasks", "flows")

_IMPORT_ALL = """
import importlib, pathlib, sys, warnings
warnings.simplefilter("ignore")
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root).with_suffix("").parts
    if all(part.isidentifier() for part in parts) and parts[-1] != "__main__":
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
for name in set(sys.modules) - {"__main__"}:
    where = getattr(sys.modules[name], "__file__", None)
    if where and name.split(".")[0] in sys.argv[2:]:
        assert root in pathlib.Path(where).parents, f"{name} is from {where}, not from the wheel"
"""


def _files(root: Path) -> set[str]:
    """Files of the packages, without the README's picture."""
    return {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".png" and not {"__pycache__", "__marimo__"} & {*path.parts}
    }


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, since `build/` of the checkout may be outdated."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "__marimo__")
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    build = "import setuptools.build_meta as backend; backend.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "source", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_wheel_holds_every_file(unpacked):
    assert _files(unpacked) == _files(ROOT)
    for name in ("models/weights/emotion/weights.safetensors", "flows/report/report.css", "undertone/py.typed"):
        assert (unpacked / name).is_file()


@pytest.mark.slow
def test_every_module_in_the_wheel_can_be_imported(unpacked, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT_ALL, str(unpacked), *PACKAGES],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
