"""Checkpoints from elsewhere: tensors are read, pickled objects are refused."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data_contracts.errors import ModelError

_INERT = ("pyannote.", "torch.torch_version.", "omegaconf.")
"""Packages whose objects Lightning's checkpoints carry beside the tensors: read as nothing, never imported."""


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a `.safetensors` or torch file. Raises ModelError where it holds anything else."""
    state = _load(path)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor | int | float) for value in state.values()):
        raise ModelError(f"expected named tensors in {path}, found {type(state).__name__} of other things")
    return _tensors(state)


def read_lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and hyperparameters of a checkpoint of Lightning, or those of a plain file and none.

    Objects of pyannote's and torch's that lie beside them count as nothing: their classes are neither imported nor
    called. Raises ModelError for objects of any other class.
    """
    state = _load(path, inert=True)
    if not isinstance(state, dict):
        raise ModelError(f"expected named tensors in {path}, found {type(state).__name__}: fetch the model again")
    tensors, described = state.get("state_dict", state), state.get("hyper_parameters", {})
    if not isinstance(tensors, Mapping) or not _tensors(tensors):
        raise ModelError(f"expected named tensors in {path}, found {', '.join(map(str, state))}: fetch the model again")
    plain = {
        str(key): value
        for key, value in (described.items() if isinstance(described, Mapping) else ())
        if isinstance(value, str | int | float | bool | None)
    }
    return _tensors(tensors), plain


def rewrite(path: Path, target: Path) -> None:
    """Write a copy that holds only what `weights_only` lets through."""
    torch.save(_load(path), target)


def transformers_weights(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a `transformers` folder, from safetensors where there are any. Raises ModelError."""
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        if files:
            return {name: value for file in files for name, value in read(file).items()}
    raise ModelError(f"expected model.safetensors or pytorch_model.bin in {folder}, found neither")


class _Inert:
    """Stand-in for a class that is not imported: it takes whatever it is made of, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _load(path: Path, *, inert: bool = False) -> Any:
    """Return what `weights_only` lets through. Raises ModelError where the file holds anything else, or is damaged."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_stubs(path) if inert else []):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"expected weights in {path}: {str(error).splitlines()[0]}. Only tensors are read: a pickled object would "
            "run code when it is opened"
        ) from error


def _stubs(path: Path) -> list[Any]:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # of torch before 1.6, which cannot be looked through: read without stand-ins
        return []
    return [(_Inert, name) for name in names if name.startswith(_INERT)]


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
