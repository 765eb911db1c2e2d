"""Weights of a ResNet speaker encoder from an `.ort` file or a checkpoint, batch normalisation folded in."""

from pathlib import Path

import torch
from torch import Tensor

from data_contracts.errors import ModelError
from models.wespeaker.network import ResNet
from models.wespeaker.ort_file import read_ort


def load_ort(path: Path) -> ResNet:
    """Return WeSpeaker's ResNet34 from an `.ort` file as pyannote exports it. Raises ModelError."""
    graph = read_ort(path)
    network = ResNet()
    state: dict[str, Tensor] = {}
    for name in _layers(network):
        weight, bias = (torch.from_numpy(array.copy()) for array in graph.constants_of(_node(name)))
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return filled(network, state, path)


def filled(network: ResNet, state: dict[str, Tensor], path: Path) -> ResNet:
    """Return the network with these weights, for inference. Raises ModelError where they do not fit."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights of {path} do not fit a ResNet of {network.shape.record()}: {error}") from error
    return network.eval().requires_grad_(False)


def _layers(network: ResNet) -> list[str]:
    return [name.removesuffix(".weight") for name in network.state_dict() if name.endswith(".weight")]


def _node(layer: str) -> str:
    """Return the name of a layer's operation: `stages.1.0.conv1` is `/resnet/layer2/layer2.0/conv1/Conv`."""
    if layer == "linear":
        return "/resnet/seg_1/Gemm"
    if not layer.startswith("stages."):
        return f"/resnet/{layer}/Conv"
    _, stage, block, conv = layer.split(".")
    inner = f"layer{int(stage) + 1}"
    return f"/resnet/{inner}/{inner}.{block}/{conv if conv != 'shortcut' else 'shortcut/shortcut.0'}/Conv"
