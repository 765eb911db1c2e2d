"""Teachers of the speaker encoder: vectors of public encoders, which the student learns to give.

W is WeSpeaker's ResNet34 (`models.wespeaker`), R is Resemblyzer's d-vector (`models.speaker.dvector`). They are asked
once; what they said is kept on disk where a folder is given.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data_contracts.errors import UsageError
from data_contracts.fingerprint import digest
from models.speaker.dvector import DVector
from models.wespeaker.network import ResNet
from models.wespeaker.weights import load_ort

_WESPEAKER = "wespeaker_resnet34_lm.ort"
_GRID, _SHORTEST = 3_200, 9_600  # samples: rows of one length share a batch, and cost least
_BATCH_SAMPLES = 32 * 16_000


class Teachers:
    """W and R, read from a folder; `embed` is the join of both."""

    def __init__(self, wespeaker: ResNet, dvector: DVector, cache: Path | None = None) -> None:
        self.wespeaker = wespeaker.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dvector = dvector
        self.cache = cache

    @classmethod
    def load(cls, folder: Path, *, dvector: Path | None = None, cache: Path | None = None) -> "Teachers":
        """Read `wespeaker_resnet34_lm.ort` from `folder` and R's weights from `dvector` or there. Raises UsageError."""
        path = folder / _WESPEAKER
        if not path.is_file():
            raise UsageError(
                f"expected {_WESPEAKER} in {folder}; found no such file: name the folder of the teachers, or train on "
                "labels alone, without --teachers"
            )
        return cls(load_ort(path), DVector.load(dvector or folder), cache)

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return (n, 512) float32: W beside R, each of unit length, of float32 waveforms at 16 kHz."""
        if self.cache is None:
            return self._embed(waveforms)
        content = digest("".join(digest(np.asarray(waveform).tobytes(), 16) for waveform in waveforms).encode(), 16)
        path = self.cache / f"teachers-{content}.npy"
        if not path.is_file():
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(path, self._embed(waveforms))
        return np.asarray(np.load(path), np.float32)

    def _embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([self._embed_wespeaker(waveforms), self.dvector.embed(waveforms)], axis=1)

    @torch.inference_mode()
    def _embed_wespeaker(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return W's (n, 256) in half precision; each waveform is cut to a grid of lengths, a short one repeated."""
        sizes = np.array([max(_SHORTEST, len(waveform) // _GRID * _GRID) for waveform in waveforms])
        found = np.zeros((len(waveforms), self.wespeaker.shape.dim), np.float32)
        for size in np.unique(sizes):
            rows = np.flatnonzero(sizes == size)
            for part in np.array_split(rows, -(-len(rows) * int(size) // _BATCH_SAMPLES)):
                batch = torch.from_numpy(np.stack([np.resize(waveforms[row], size) for row in part]))
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    vectors = self.wespeaker.embed(batch, torch.full((len(part),), int(size)))
                found[part] = nn.functional.normalize(vectors.float()).numpy()
        return found
