"""Fetch a published model's files: from the hub at one commit, from a folder, or from any fsspec prefix."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import yaml

from data_contracts.errors import ModelError, UsageError

_PATTERNS = ("*.json", "*.yaml", "*.txt", "*.ckpt", "*.safetensors", "pytorch_model*.bin", "avg_model.pt", "README.md")
_CREATIVE_COMMONS = re.compile(r"^cc-(by[a-z-]*)-(\d\.\d)$")  # as the hub spells them
UNSTATED = "see source"
"""Licence of a model whose source names none."""

_CODE_SUFFIXES = {".py", ".pyc", ".so", ".sh"}  # never copied: no foreign code is run


@dataclass(frozen=True)
class Origin:
    """Origin of a model: the requested name, the hub's commit (or none), the place, the stated licence."""

    source: str
    revision: str | None
    place: str
    licence: str

    def record(self) -> dict[str, Any]:
        """Return the fields, for JSON and `config.json`."""
        return {"source": self.source, "revision": self.revision, "place": self.place, "licence": self.licence}


def fetch_source(source: str, *, place: str | None, revision: str | None, into: Path) -> Origin:
    """Copy the files of `source` to `into`; without `place` they come from the hub, at the commit of `revision`.

    Raises UsageError for a place with a revision (a folder has none), ModelError where nothing is found.
    """
    into.mkdir(parents=True, exist_ok=True)
    if place is None:
        sha = _from_hub(source, revision, into)
        return Origin(source, sha, "the hub", _licence(into))
    if revision is not None:
        raise UsageError("--revision names a commit of the hub, and --from a folder has none: give one of the two")
    _copy_files(place, into)
    return Origin(source, None, place, _licence(into))


def fetch_configuration(source: str, into: Path) -> str:
    """Copy only the configuration files of a repository of the hub to `into`. Returns the commit."""
    into.mkdir(parents=True, exist_ok=True)
    return _from_hub(source, None, into, ("*config.json",))


def _from_hub(source: str, revision: str | None, into: Path, patterns: tuple[str, ...] = _PATTERNS) -> str:
    from huggingface_hub import HfApi, snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        with _allow_network():
            sha = HfApi(endpoint=endpoint).model_info(source, revision=revision).sha
            if not sha:
                raise ModelError(f"the hub names no commit for {source} at {revision or 'its newest'}; give --revision")
            snapshot_download(
                source, revision=sha, local_dir=into, allow_patterns=list(patterns), endpoint=endpoint, max_workers=4
            )
    except ModelError:
        raise
    except Exception as error:  # of the hub's client, or of its HTTP client
        found = " ".join(str(error).split())
        raise ModelError(
            f"expected {source} at {revision or 'its newest commit'} on the hub; found: {found}. "
            "Where there is no network, copy the repository's folder and give it with --from DIR"
        ) from error
    return str(sha)


@contextmanager
def _allow_network() -> Iterator[None]:
    """Allow the network inside the block; the rest of Undertone stays off it."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _copy_files(place: str, into: Path) -> None:
    try:
        fs, root = fsspec.core.url_to_fs(place)
        files = fs.find(root)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"expected a model's folder at {place}: {error}") from error
    root = root.rstrip("/")
    names = [name.removeprefix(root).lstrip("/") for name in files]
    wanted = [
        name for name in names if name and ".." not in Path(name).parts and Path(name).suffix not in _CODE_SUFFIXES
    ]
    if not wanted:
        raise ModelError(f"expected a model's files at {place}, found none; is it the folder that holds its config?")
    for name in wanted:
        if name.startswith(".") or "/." in name:
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            fs.get_file(f"{root}/{name}", str(into / name))
        except OSError as error:
            raise ModelError(f"{place}/{name} cannot be copied: {error}; check the credentials") from error


def _licence(folder: Path) -> str:
    """Return the licence in the front matter of the folder's README."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    if not text.startswith("---"):
        return UNSTATED
    try:
        front_matter = yaml.safe_load(text.split("---", 2)[1])
    except (yaml.YAMLError, IndexError):
        return UNSTATED
    stated = str(front_matter.get("license") or UNSTATED) if isinstance(front_matter, dict) else UNSTATED
    return _CREATIVE_COMMONS.sub(lambda found: f"CC {found[1].upper()} {found[2]}", stated)
