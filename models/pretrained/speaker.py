"""Pretrained speaker encoder: somebody else's network, a threshold on its cosine and the calibration of it."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest, fingerprint
from models.pretrained.ecapa import EcapaEncoder
from models.pretrained.resnet import ResnetEncoder
from models.speaker.log_odds import LogOdds
from models.speaker.pyfunc import SpeakerPyfunc
from models.speaker.score_norm import cosines

_KINDS = {encoder.kind: encoder for encoder in (EcapaEncoder, ResnetEncoder)}
_WEIGHTS = "weights.safetensors"


class PulledEncoder(Protocol):
    """Network of a pulled speaker model, from tensors on any device; `arguments` and `weights` make it again."""

    kind: str
    dim: int

    @property
    def arguments(self) -> dict[str, Any]:
        """Plain values, for JSON."""

    @property
    def weights(self) -> dict[str, Tensor]:
        """Named tensors."""

    def embed(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Return an embedding a row, of any length."""

    def sliding_embeddings(
        self, waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float
    ) -> list[list[Tensor]]:
        """Return embeddings of unit length of windows that slide along each row."""


class PretrainedSpeaker:
    """Speaker encoder like `SpeakerModel`: `embed`, a threshold on the cosine and its calibration.

    `log_odds` and `centre` are set from labelled speech; without it durations are not known.
    """

    normalised, cohort = False, None

    def __init__(
        self,
        encoder: PulledEncoder,
        *,
        threshold: float,
        calibration: tuple[float, float],
        training: dict[str, Any],
        log_odds: LogOdds | None = None,
        centre: Sequence[float] | None = None,
    ) -> None:
        self.encoder = encoder
        self.threshold, self.calibration = threshold, calibration
        self.training = training
        self.trained_on: frozenset[str] = frozenset()
        self.dim = encoder.dim
        self.log_odds = log_odds
        self.centre = np.zeros(self.dim, np.float32) if centre is None else np.asarray(centre, np.float32)

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length
        """Return an embedding a row; padding, batch and neighbours change nothing."""
        return F.normalize(self.encoder.embed(waveform, lengths))

    @torch.inference_mode()
    def sliding_embeddings(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
        windows_s: Sequence[float],
        hop_s: float,
    ) -> list[list[Tensor]]:  # [row][window length]: (n_windows, dim), of unit length
        """Return embeddings of windows that slide along each row."""
        return self.encoder.sliding_embeddings(waveform, lengths, windows_s, hop_s)

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
        encoder = self.encoder
        return digest(fingerprint(encoder.kind, *encoder.arguments.values()).encode() + save(encoder.weights), 12)

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `config.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WEIGHTS).write_bytes(save(self.encoder.weights))
        config = {
            "kind": self.encoder.kind,
            "dim": self.dim,
            "threshold": self.threshold,
            "calibration": list(self.calibration),
            **self._what_durations_say(),
            "extractor_digest": self.extractor_digest,
            **self.encoder.arguments,
            "training": self.training,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    def _what_durations_say(self) -> dict[str, Any]:
        if self.log_odds is None:
            return {}
        return {"log_odds": self.log_odds.as_dict(), "centre": [round(float(value), 5) for value in self.centre]}

    @classmethod
    def load(cls, folder: Path) -> "PretrainedSpeaker":
        """Read a folder that `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            encoder = _KINDS[stored["kind"]].restored(stored, load_file(folder / _WEIGHTS))
            slope, offset = stored["calibration"]
            return cls(
                encoder,
                threshold=float(stored["threshold"]),
                calibration=(slope, offset),
                training=stored["training"],
                log_odds=LogOdds.from_dict(stored["log_odds"]) if "log_odds" in stored else None,
                centre=stored.get("centre"),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(
                f"expected a pulled speaker model (config.json, {_WEIGHTS}) in {folder}: {error}; bring it in with "
                "`undertone models pull`"
            ) from error


def _load_pyfunc(data_path: str) -> SpeakerPyfunc:
    return SpeakerPyfunc(PretrainedSpeaker.load(Path(data_path)))
