"""Constants of a model in onnxruntime's own format, read without onnxruntime.

An `.ort` file is a FlatBuffer (https://flatbuffers.dev/internals, schema `onnxruntime/core/flatbuffers/schema/ort.fbs`
of onnxruntime 1.x). Tables are read by the slots of their fields, nothing is built or run.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_contracts.errors import ModelError

_DTYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}  # of ONNX's TensorProto
_GRAPH_OF_MODEL, _MODEL_OF_SESSION = 18, 6
_INITIALISERS, _NODES = 4, 8  # of a graph
_TENSOR_NAME, _TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_BYTES = 4, 8, 10, 12
_NODE_NAME, _NODE_KIND, _NODE_INPUTS, _NODE_OUTPUTS = 4, 14, 20, 22


@dataclass(frozen=True)
class OrtNode:
    """Operation of the graph: its name, its kind (`Conv`), and the names of what it reads and writes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OrtGraph:
    """Operations in their order, and the constants among their inputs, int8 ones as the float32 they stand for."""

    nodes: list[OrtNode]
    constants: dict[str, np.ndarray]

    def constants_of(self, name: str) -> list[np.ndarray]:
        """Return the constant inputs of the node `name`. Raises ModelError where there is no such node."""
        for node in self.nodes:
            if node.name == name:
                return [self.constants[key] for key in node.inputs if key in self.constants]
        raise ModelError(f"expected an operation {name} in the model, found {len(self.nodes)} others: another network")


def read_ort(path: Path) -> OrtGraph:
    """Return operations and constants of a file. Raises ModelError where it cannot be read as such."""
    try:
        data = path.read_bytes()
        if data[4:8] != b"ORTM":
            raise ValueError("its first bytes are not those of the format")
        graph = _Table(data, _uint(data, 0)).table(_MODEL_OF_SESSION).table(_GRAPH_OF_MODEL)
        nodes = [
            OrtNode(node.text(_NODE_NAME), node.text(_NODE_KIND), node.texts(_NODE_INPUTS), node.texts(_NODE_OUTPUTS))
            for node in graph.tables(_NODES)
        ]
        constants = {tensor.text(_TENSOR_NAME): _array(tensor) for tensor in graph.tables(_INITIALISERS)}
    except (OSError, ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise ModelError(
            f"expected a model of onnxruntime (.ort) in {path}: {error}; convert it again with onnxruntime 1.x"
        ) from error
    return OrtGraph(nodes, _dequantised(nodes, constants))


def _dequantised(nodes: list[OrtNode], constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add what casts, scales and offsets make of constants: int8 weights are stored in front of them."""
    known = dict(constants)
    for node in nodes:
        if node.kind in ("Cast", "Mul", "Add") and all(name in known for name in node.inputs):
            first, *others = (known[name] for name in node.inputs)
            if node.kind == "Cast" and first.dtype.kind == "i" and first.dtype.itemsize > 1:
                continue  # a shape
            other = others[0] if others else np.float32(0)
            known[node.outputs[0]] = first * other if node.kind == "Mul" else first.astype(np.float32) + other
    return known


def _array(tensor: "_Table") -> np.ndarray:
    kind = int(tensor.number(_TENSOR_TYPE, "<i"))
    start, n = tensor.vector(_TENSOR_DIMS)
    dims = struct.unpack_from(f"<{n}q", tensor.data, start) if n else ()
    start, n = tensor.vector(_TENSOR_BYTES)
    return np.frombuffer(tensor.data[start : start + n], _DTYPES[kind]).reshape(dims)


class _Table:
    """FlatBuffer table: its fields are found by their slots in the table of offsets in front of it."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self._slots = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._slots)[0]

    def place(self, slot: int) -> int:
        """Return where a field begins, 0 where it is left out."""
        offset = struct.unpack_from("<H", self.data, self._slots + slot)[0] if slot < self._size else 0
        return self.at + offset if offset else 0

    def number(self, slot: int, form: str) -> float:
        at = self.place(slot)
        return float(struct.unpack_from(form, self.data, at)[0]) if at else 0

    def table(self, slot: int) -> "_Table":
        at = self.place(slot)
        if not at:
            raise ValueError("a part of it is missing")
        return _Table(self.data, at + _uint(self.data, at))

    def vector(self, slot: int) -> tuple[int, int]:
        """Return where a vector's elements begin, and their number."""
        at = self.place(slot)
        if not at:
            return 0, 0
        start = at + _uint(self.data, at)
        return start + 4, _uint(self.data, start)

    def tables(self, slot: int) -> list["_Table"]:
        start, n = self.vector(slot)
        return [_Table(self.data, at + _uint(self.data, at)) for at in range(start, start + 4 * n, 4)]

    def text(self, slot: int) -> str:
        start, n = self.vector(slot)
        return self.data[start : start + n].decode()

    def texts(self, slot: int) -> tuple[str, ...]:
        start, n = self.vector(slot)
        begins = [at + _uint(self.data, at) for at in range(start, start + 4 * n, 4)]
        return tuple(self.data[at + 4 : at + 4 + _uint(self.data, at)].decode() for at in begins)


def _uint(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
