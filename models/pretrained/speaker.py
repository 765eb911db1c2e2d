"""Pretrained speaker encoder: SpeechBrain's ECAPA-TDNN and spectrogram, from plain values and safetensors."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest, fingerprint
from models.speaker.encoder import SAMPLE_RATE
from models.speaker.pyfunc import SpeakerPyfunc
from models.speaker.score_norm import cosines
from models.speaker.sliding import sliding_embeddings
from models.speechbrain_compat import speechbrain_importable

KIND = "speechbrain-ecapa"
_MIN_SAMPLES = 1_600  # less has too few frames for the network's context
_CHUNK_S = 2.0  # read at once for sliding windows
_WEIGHTS = "weights.safetensors"


class PretrainedSpeaker:
    """Speaker encoder like `SpeakerModel`: `embed`, a threshold on the cosine and its calibration.

    `bands` and `network` are the arguments of SpeechBrain's Fbank and ECAPA_TDNN.
    """

    normalised, cohort = False, None

    def __init__(
        self,
        bands: dict[str, Any],
        network: dict[str, Any],
        weights: dict[str, Tensor],
        *,
        threshold: float,
        calibration: tuple[float, float],
        training: dict[str, Any],
    ) -> None:
        self.bands, self.arguments, self.weights = bands, network, weights
        self.threshold, self.calibration = threshold, calibration
        self.training = training
        self.trained_on: frozenset[str] = frozenset()
        with speechbrain_importable():
            from speechbrain.lobes.features import Fbank
            from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        try:
            self.spectrogram = Fbank(**bands).eval()
            self.network = ECAPA_TDNN(**network).eval()
            self.network.load_state_dict(weights)
        except (TypeError, RuntimeError) as error:
            raise ModelError(f"the weights do not fit the network of hyperparams.yaml: {error}") from error
        self.dim = int(network.get("lin_neurons", 192))
        self.centre = np.zeros(self.dim, np.float32)

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length
        """Return an embedding a row, row by row: norms and pooling would see a batch's padding."""
        self.network.to(waveform.device)
        self.spectrogram.to(waveform.device)
        rows = [self._embed_one(row[:length]) for row, length in zip(waveform, lengths.tolist(), strict=True)]
        return F.normalize(torch.stack(rows))

    @torch.inference_mode()
    def sliding_embeddings(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
        windows_s: Sequence[float],
        hop_s: float,
    ) -> list[list[Tensor]]:  # [row][window length]: (n_windows, dim), of unit length
        """Return embeddings of sliding windows (`models.speaker.sliding`)."""
        self.network.to(waveform.device)
        self.spectrogram.to(waveform.device)
        chunk = round(_CHUNK_S * SAMPLE_RATE)
        return sliding_embeddings(
            self.network, self._to_spectrogram, waveform, lengths, chunk=chunk, windows_s=windows_s, hop_s=hop_s
        )

    def scores(self, first: Any, second: Any) -> Any:
        """Return the cosines (n, m) of embeddings (n, dim) and (m, dim)."""
        return cosines(first, second)

    @property
    def decision(self) -> tuple[float, tuple[float, float]]:
        """Threshold and (slope, offset) of the scores that `scores` returns."""
        return self.threshold, self.calibration

    @cached_property
    def extractor_digest(self) -> str:
        """12 hex digits of SHA-256 over weights and arguments, without the threshold."""
        return digest(fingerprint(KIND, self.bands, self.arguments).encode() + save(self.weights), 12)

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `config.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WEIGHTS).write_bytes(save(self.weights))
        config = {
            "kind": KIND,
            "dim": self.dim,
            "threshold": self.threshold,
            "calibration": list(self.calibration),
            "extractor_digest": self.extractor_digest,
            "bands": self.bands,
            "network": self.arguments,
            "training": self.training,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "PretrainedSpeaker":
        """Read a folder that `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            weights = load_file(folder / _WEIGHTS)
            slope, offset = stored["calibration"]
            return cls(
                stored["bands"],
                stored["network"],
                weights,
                threshold=float(stored["threshold"]),
                calibration=(slope, offset),
                training=stored["training"],
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"expected a pulled speaker model (config.json, {_WEIGHTS}) in {folder}: {error}; bring it in with "
                "`undertone models pull`"
            ) from error

    def _embed_one(self, samples: Tensor) -> Tensor:  # (time,) to (dim,)
        samples = F.pad(samples, (0, max(0, _MIN_SAMPLES - len(samples))))
        whole = torch.ones(1, device=samples.device)
        vector: Tensor = self.network(self._to_spectrogram(samples[None]), whole)[0, 0]
        return vector

    def _to_spectrogram(self, samples: Tensor) -> Tensor:  # (n, time) to (n, frames, bands)
        bands: Tensor = self.spectrogram(samples)
        return bands - bands.mean(1, keepdim=True)  # SpeechBrain's InputNormalization by sentence, without deviation


def _load_pyfunc(data_path: str) -> SpeakerPyfunc:
    return SpeakerPyfunc(PretrainedSpeaker.load(Path(data_path)))
