"""Reader of `.ort` files: on one written by hand, and on the teacher in `../shared`."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT

from data_contracts.errors import ModelError
from models.wespeaker.ort_file import read_ort
from models.wespeaker.weights import load_ort

TEACHER = ROOT.parent / "shared" / "teachers" / "wespeaker_resnet34_lm.ort"


class Buffer(bytearray):
    """FlatBuffer written from the root on: whatever a table points to lies behind it."""

    def put(self, value: Any) -> int:
        self += bytes(-len(self) % 8)
        if isinstance(value, dict):
            return self._table(value)
        start = len(self)
        self += struct.pack("<I", len(value))
        if isinstance(value, list):
            self += bytes(4 * len(value))
            for place, item in enumerate(value, 1):
                self._point(start + 4 * place, item)
        else:
            self += value
        return start

    def _table(self, fields: dict[int, Any]) -> int:
        slots = [0] * (max(fields) // 2 + 1)
        for place, slot in enumerate(fields, 1):
            slots[slot // 2] = 4 * place
        slots[:2] = [2 * len(slots), 4 + 4 * len(fields)]
        self += struct.pack(f"<{len(slots)}H", *slots)
        start = len(self)
        self += struct.pack("<i", slots[0]) + bytes(4 * len(fields))
        for place, value in enumerate(fields.values(), 1):
            if isinstance(value, int):
                struct.pack_into("<i", self, start + 4 * place, value)
            else:
                self._point(start + 4 * place, value)
        return start

    def _point(self, at: int, value: Any) -> None:
        struct.pack_into("<I", self, at, self.put(value) - at)


def tensor(name: bytes, array: np.ndarray, kind: int) -> dict[int, Any]:
    class Dims(bytes):
        def __len__(self) -> int:
            return array.ndim

    return {4: name, 8: Dims(struct.pack(f"<{array.ndim}q", *array.shape)), 10: kind, 12: array.tobytes()}


def node(name: bytes, kind: bytes, inputs: list[bytes], output: bytes) -> dict[int, Any]:
    return {4: name, 14: kind, 20: inputs, 22: [output]}


def test_reads_operations_and_what_int8_weights_stand_for(tmp_path: Path) -> None:
    quantised = np.array([[-128, 0, 127]], np.int8)
    graph = {
        4: [
            tensor(b"w_q", quantised, 3),
            tensor(b"scale", np.array([0.5], np.float32), 1),
            tensor(b"zero", np.array([1], np.float32), 1),
        ],
        8: [
            node(b"cast", b"Cast", [b"w_q"], b"w_f"),
            node(b"scaled", b"Mul", [b"w_f", b"scale"], b"w_s"),
            node(b"moved", b"Add", [b"w_s", b"zero"], b"w"),
            node(b"gemm", b"Gemm", [b"x", b"w"], b"y"),
        ],
    }
    buffer = Buffer(b"\0\0\0\0ORTM")
    struct.pack_into("<I", buffer, 0, buffer.put({6: {18: graph}}))
    (tmp_path / "model.ort").write_bytes(buffer)
    found = read_ort(tmp_path / "model.ort")
    assert [(one.name, one.kind, one.inputs, one.outputs) for one in found.nodes[-1:]] == [
        ("gemm", "Gemm", ("x", "w"), ("y",))
    ]
    np.testing.assert_array_equal(found.constants_of("gemm")[0], quantised * 0.5 + 1.0)
    with pytest.raises(ModelError, match="expected an operation conv in the model"):
        found.constants_of("conv")
    (tmp_path / "cut.ort").write_bytes(buffer[: len(buffer) // 2])
    with pytest.raises(ModelError, match=r"expected a model of onnxruntime .*cut\.ort"):
        read_ort(tmp_path / "cut.ort")


def test_the_teacher_says_what_it_says_under_onnxruntime() -> None:
    if not TEACHER.is_file():
        pytest.skip("needs ../shared/teachers")
    time = np.arange(32_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * time + 0.3 * k * np.sin(2 * np.pi * 5 * time)) / k for k in range(1, 30))
    waveform = (0.05 * voice * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)
    vector = load_ort(TEACHER).embed(torch.from_numpy(waveform)[None], torch.tensor([32_000]))[0]
    expected = [0.0563, 0.0550, -0.0148, -0.0160, 0.0098, 0.0091, -0.0011, 0.0517]  # onnxruntime 1.32
    np.testing.assert_allclose(vector[:8], expected, atol=2e-4)
