"""Interface of a speaker encoder, our own or a pretrained one: embeddings, their scores and the decision rule."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor


class SpeakerEncoder(Protocol):
    """A speaker model on tensors; its results stay on the waveform's device.

    `threshold` and `calibration` are those of cosines, `decision` that of `scores`. `trained_on` holds the first 12 hex
    digits of the SHA-256 of every training recording, as far as they are known. `centre` is the mean embedding of the
    training's voices, zeros where it is not known.
    """

    threshold: float
    calibration: tuple[float, float]
    trained_on: frozenset[str]
    normalised: bool
    dim: int
    centre: np.ndarray  # (dim,) float32

    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length
        """Return an embedding a row."""

    def sliding_embeddings(
        self, waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float
    ) -> list[list[Tensor]]:  # [row][window length]: (n_windows, dim), of unit length
        """Return embeddings of windows that slide along each row."""

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return scores (n, m) of embeddings (n, dim) and (m, dim), higher is more alike."""

    @property
    def decision(self) -> tuple[float, tuple[float, float]]:
        """Threshold and (slope, offset) of the scores that `scores` returns."""

    @property
    def extractor_digest(self) -> str:
        """12 hex digits that name the embeddings' space."""
