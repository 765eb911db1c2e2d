"""Checkpoints from elsewhere: tensors are read, pickled objects are refused."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data_contracts.errors import ModelError


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a `.safetensors` or torch file. Raises ModelError where it holds anything else."""
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"expected weights in {path}: {str(error).splitlines()[0]}. Only tensors are read: a pickled object would "
            "run code when it is opened"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor | int | float) for value in state.values()):
        raise ModelError(f"expected named tensors in {path}, found {type(state).__name__} of other things")
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def rewrite(path: Path, target: Path) -> None:
    """Write a copy that holds only what `weights_only` lets through."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"expected weights in {path}: {str(error).splitlines()[0]}. Only tensors are read: a pickled object would "
            "run code when it is opened"
        ) from error
    torch.save(state, target)


def transformers_weights(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a `transformers` folder, from safetensors where there are any. Raises ModelError."""
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        if files:
            return {name: value for file in files for name, value in read(file).items()}
    raise ModelError(f"expected model.safetensors or pytorch_model.bin in {folder}, found neither")
