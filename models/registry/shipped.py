"""Shipped weights as versions of a registry that began with earlier ones: registered on request, then promoted."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_contracts.errors import ModelError
from data_contracts.records import ModelRef
from models import WEIGHTS
from models.registry import artifact
from models.registry.cards import training_licences
from models.registry.licences import combined_licence
from models.registry.mlflow_registry import CHALLENGER, CHAMPION, SHIPPED_DESCRIPTION, ModelVersion, Registry

WeightSet = Literal["shipped", "research"]
_SUFFIX = {"shipped": "", "research": "_research"}  # of the folder in WEIGHTS
_DESCRIPTION = {"shipped": SHIPPED_DESCRIPTION, "research": "research weights, shipped with Undertone"}


@dataclass(frozen=True)
class Added:
    """A version with shipped weights: registered by this call, or known before."""

    ref: ModelRef
    licence: str
    is_new: bool
    is_champion: bool


def add_shipped(registry: Registry, which: WeightSet) -> list[Added]:
    """Register a set of shipped weights, what is not known yet, as @challenger; nothing is promoted.

    Raises ModelError where this installation holds no such weights.
    """
    folders = _folders(which)
    if not folders:
        found = ", ".join(sorted(path.name for path in WEIGHTS.iterdir()))
        raise ModelError(f"expected {which} weights in {WEIGHTS}; found {found}; install Undertone again, whole")
    return [_add(registry, name, folder, _DESCRIPTION[which]) for name, folder in folders.items()]


def newer_shipped(registry: Registry, name: str) -> str | None:
    """Return what to do where the champion is an earlier shipped model than this installation's; None elsewhere.

    A champion that people trained or pulled is their choice, and so is one that they went back to.
    """
    versions = registry.versions(name)
    champion = next((item for item in versions if CHAMPION in item.aliases), None)
    if champion is None or champion.description != SHIPPED_DESCRIPTION:
        return None
    known = _with_digest(versions, WEIGHTS / name)
    if known is None:
        return f"a newer {name} model is shipped: `undertone models add shipped`, then promote it"
    if int(known.version) <= int(champion.version) or "undertone.rolled_back_at" in known.tags:
        return None
    return f"a newer {name} model is registered: `undertone models promote {name} {known.version}`"


def _folders(which: WeightSet) -> dict[str, Path]:
    folders = {name: WEIGHTS / f"{name}{_SUFFIX[which]}" for name in artifact.MODEL_NAMES}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}


def _add(registry: Registry, name: str, folder: Path, description: str) -> Added:
    if not registry.versions(name):
        registry.champion(name)  # the shipped model is every registry's first
    known = _with_digest(registry.versions(name), folder)
    training = json.loads((folder / "config.json").read_text()).get("training") or {}
    licence = combined_licence(training_licences(training))
    if known is None:
        ref = registry.register(name, folder, alias=CHALLENGER, description=description)
        return Added(ref, licence, is_new=True, is_champion=False)
    ref = registry.version(name, known.version)
    return Added(ref, licence, is_new=False, is_champion=CHAMPION in known.aliases)


def _with_digest(versions: list[ModelVersion], folder: Path) -> ModelVersion | None:
    content = artifact.content_digest(folder)
    return next((item for item in versions if item.digest == content), None)
