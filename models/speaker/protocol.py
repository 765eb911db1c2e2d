"""Interface of a speaker encoder, ours or a pulled one: embeddings of utterances, and how to read their scores."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor


class SpeakerEncoder(Protocol):
    """A speaker model on tensors; what it returns stays on the waveform's device.

    `threshold` and `calibration` are of cosines, `decision` of what `scores` returns. `trained_on` holds the first 12
    hex of the SHA-256 of every training recording, as far as they are known.
    """

    threshold: float
    calibration: tuple[float, float]
    trained_on: frozenset[str]
    normalised: bool
    dim: int

    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length
        """One voice a row."""

    def sliding_embeddings(
        self, waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float
    ) -> list[list[Tensor]]:  # a row, and of it a length of window: (n_windows, dim), of unit length
        """Embeddings of windows that slide along each row."""

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Embeddings (n, dim) and (m, dim) to (n, m), higher is more alike."""

    @property
    def decision(self) -> tuple[float, tuple[float, float]]:
        """Threshold and (slope, offset) of what `scores` returns."""

    @property
    def extractor_digest(self) -> str:
        """12 hex that name the embeddings' space."""
