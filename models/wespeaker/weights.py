"""Weights of a ResNet speaker encoder from an `.ort` file or a checkpoint, batch normalisation folded in."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from data_contracts.errors import ModelError
from models.wespeaker.network import ResNet, ResNetShape
from models.wespeaker.ort_file import read_ort

_NORM_EPSILON = 1e-5  # of torch's batch normalisation


def load_ort(path: Path) -> ResNet:
    """Return WeSpeaker's ResNet34 from an `.ort` file as pyannote exports it. Raises ModelError."""
    graph = read_ort(path)
    network = ResNet()
    state: dict[str, Tensor] = {}
    for name in _layers(network):
        weight, bias = (torch.from_numpy(array.copy()) for array in graph.constants_of(_node(name)))
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return filled(network, state, path)


def from_state(state: Mapping[str, Tensor], *, n_bands: int, path: Path) -> ResNet:
    """Return the network of a checkpoint with WeSpeaker's names of tensors, whose shapes say how large it is.

    A projection to the speakers of the training is left out. Raises ModelError where it is another network.
    """
    try:
        shape = ResNetShape(
            blocks=tuple(_count(state, f"layer{stage}.{{}}.conv1.weight") for stage in range(1, 5)),
            channels=len(state["conv1.weight"]),
            n_bands=n_bands,
            dim=len(state["seg_1.weight"]),
        )
        if "layer1.0.conv3.weight" in state or "seg_2.weight" in state:
            raise KeyError("a ResNet without bottlenecks and with one linear layer")
        network = ResNet(shape)
        ours: dict[str, Tensor] = {}
        for name in _layers(network):
            ours |= _folded(state, name)
    except KeyError as error:
        raise ModelError(
            f"expected the tensors of WeSpeaker's ResNet18 or ResNet34 in {path}; {error} is missing: pull "
            "pyannote/wespeaker-voxceleb-resnet34-LM, or another that WeSpeaker publishes under that name"
        ) from error
    return filled(network, ours, path)


def filled(network: ResNet, state: Mapping[str, Tensor], path: Path | str) -> ResNet:
    """Return the network with these weights, for inference. Raises ModelError where they do not fit."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"expected the weights of a ResNet of {network.shape.record()} in {path}; {error}: fetch it again"
        ) from error
    return network.eval().requires_grad_(False)


def _layers(network: ResNet) -> list[str]:
    return [name.removesuffix(".weight") for name in network.state_dict() if name.endswith(".weight")]


def _count(state: Mapping[str, Tensor], name: str) -> int:
    return next(n for n in itertools.count() if name.format(n) not in state)


def _folded(state: Mapping[str, Tensor], layer: str) -> dict[str, Tensor]:
    """Return weight and bias of a layer, those of a convolution with the batch normalisation that follows it.

    The names of `stages.1.0.conv1` are `layer2.0.conv1` and `layer2.0.bn1`.
    """
    if layer == "linear":
        return {"linear.weight": state["seg_1.weight"].float(), "linear.bias": state["seg_1.bias"].float()}
    theirs = layer
    if layer.startswith("stages."):
        _, stage, block, conv = layer.split(".")
        theirs = f"layer{int(stage) + 1}.{block}.{conv if conv != 'shortcut' else 'shortcut.0'}"
    norm = theirs.replace("conv", "bn") if not theirs.endswith("shortcut.0") else theirs.removesuffix("0") + "1"
    deviation = (state[f"{norm}.running_var"].double() + _NORM_EPSILON).sqrt()
    scale = state[f"{norm}.weight"].double() / deviation
    weight = state[f"{theirs}.weight"].double() * scale[:, None, None, None]
    bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
    return {f"{layer}.weight": weight.float(), f"{layer}.bias": bias.float()}


def _node(layer: str) -> str:
    """Return the name of a layer's operation: `stages.1.0.conv1` is `/resnet/layer2/layer2.0/conv1/Conv`."""
    if layer == "linear":
        return "/resnet/seg_1/Gemm"
    if not layer.startswith("stages."):
        return f"/resnet/{layer}/Conv"
    _, stage, block, conv = layer.split(".")
    inner = f"layer{int(stage) + 1}"
    return f"/resnet/{inner}/{inner}.{block}/{conv if conv != 'shortcut' else 'shortcut/shortcut.0'}/Conv"
