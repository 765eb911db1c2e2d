"""Speaker encoders behind MLflow's pyfunc interface: waveforms in, embeddings out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.speaker.protocol import SpeakerEncoder


class SpeakerPyfunc:
    """A speaker encoder for MLflow's loader_module protocol: tensors on any device in, arrays out."""

    def __init__(self, model: SpeakerEncoder) -> None:
        self.model = model
        self.threshold, self.calibration = model.threshold, model.calibration
        self.dim, self.extractor_digest = model.dim, model.extractor_digest
        self.centre = model.centre

    def predict(
        self,
        model_input: dict[str, np.ndarray],  # waveform (n, time) float32 at 16 kHz, lengths (n,)
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> np.ndarray:  # (n, dim) float32
        """Return embeddings, computed on a GPU where there is one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        waveform = torch.as_tensor(np.asarray(model_input["waveform"], np.float32), device=device)
        lengths = torch.as_tensor(np.asarray(model_input["lengths"], np.int64), device=device)
        return self.embed(waveform, lengths)

    def get_raw_model(self) -> "SpeakerPyfunc":
        """Return this object: the pipeline embeds tensors, and sliding windows of them."""
        return self

    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,)
    ) -> np.ndarray:  # (batch, dim) float32
        """Return embeddings of tensors, computed on the waveform's device."""
        embedded: np.ndarray = self.model.embed(waveform, lengths).cpu().numpy()
        return embedded

    def sliding_embeddings(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,)
        windows_s: Sequence[float],
        hop_s: float,
    ) -> list[list[np.ndarray]]:  # [row][window length]: (n_windows, dim) float32
        """Return embeddings of windows that slide along each row, computed on the waveform's device."""
        rows = self.model.sliding_embeddings(waveform, lengths, windows_s, hop_s)
        return [[vectors.numpy() for vectors in row] for row in rows]
