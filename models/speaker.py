"""Who speaks: a small ECAPA-TDNN that turns an utterance into a unit vector, near for the same voice, far for others.

Utterance -> windows of two seconds -> log-mel, its mean taken away -> ECAPA-TDNN (Desplanques et al., Interspeech 2020)
-> mean over the windows -> unit length. The network only ever sees whole windows, so that padding, batch and neighbours
change nothing.
"""

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest, fingerprint
from features.mel import MelConfig, log_mel

SAMPLE_RATE = 16_000
_LEVEL = 0.05  # root mean square that every window is brought to: how loud somebody is says little of who it is
_WINDOWS_AT_ONCE = 64  # bounds the memory of a long utterance


@dataclass(frozen=True)
class EncoderConfig:
    """The network's size, and what it is shown: `window_s` of log-mel frames."""

    dim: int = 128
    channels: int = 96
    merged_channels: int = 192  # after the three blocks' outputs are joined
    attention_channels: int = 64
    window_s: float = 2.0
    mel: MelConfig = MelConfig(hop_s=0.016)

    @property
    def window(self) -> int:
        """Samples."""
        return round(self.window_s * SAMPLE_RATE)


def network(config: EncoderConfig) -> nn.Module:
    """An untrained encoder: (batch, frames, n_mels) to (batch, 1, dim)."""
    from models import speechbrain_compat

    speechbrain_compat.prepare()
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    built: nn.Module = ECAPA_TDNN(
        config.mel.n_mels,
        lin_neurons=config.dim,
        channels=[config.channels] * 4 + [config.merged_channels],
        attention_channels=config.attention_channels,
        se_channels=config.attention_channels,
    )
    return built


def windows(
    waveform: Tensor,  # (batch, time)
    lengths: Tensor,  # (batch,), valid samples
    *,
    size: int,
) -> tuple[Tensor, Tensor]:  # (n, size), (n,) the row that each window is of
    """Cuts each row into as many evenly spaced windows as cover it; a shorter row is repeated until it fills one."""
    lengths = lengths.long()
    counts = ((lengths + size - 1) // size).clamp_min(1)
    row = torch.repeat_interleave(torch.arange(len(lengths), device=waveform.device), counts)
    place = torch.arange(len(row), device=waveform.device) - (counts.cumsum(0) - counts)[row]
    start = place * (lengths[row] - size).clamp_min(0) // (counts[row] - 1).clamp_min(1)
    period = lengths[row].clamp(1, size)
    samples = start[:, None] + torch.arange(size, device=waveform.device) % period[:, None]
    cut = waveform[row[:, None], samples] if waveform.shape[1] else waveform.new_zeros(len(row), size)
    return torch.where(lengths[row, None] > 0, cut, 0.0), row


def spectrogram(
    cut: Tensor,  # (n, window) samples
    config: EncoderConfig,
) -> Tensor:  # (n, frames, n_mels)
    """What the network sees: log-mel of the window at a fixed level, each band's mean over the window taken away."""
    level = cut.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
    lengths = torch.full((len(cut),), cut.shape[1], device=cut.device)
    bands, _ = log_mel(cut * (_LEVEL / level), lengths, config=config.mel, sample_rate=SAMPLE_RATE)
    return bands - bands.mean(1, keepdim=True)


class SpeakerModel:
    """An encoder and how to read its cosines.

    `threshold`: the cosine above which two voices are the same. `calibration` (slope, offset): the probability that
    they are is sigmoid(slope * cosine + offset). `extractor_digest` names the encoder alone: with another threshold
    the embeddings, and so the stored features, stay the same.
    """

    def __init__(
        self,
        encoder: nn.Module,
        config: EncoderConfig = EncoderConfig(),
        *,
        threshold: float,
        calibration: tuple[float, float],
        training: dict[str, Any] | None = None,  # what it was trained on, for the record
    ) -> None:
        self.encoder = encoder.eval()
        self.config = config
        self.threshold, self.calibration = threshold, calibration
        self.training = training or {}
        self.dim = config.dim

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length, on the waveform's device
        """One voice a row. Rows of different lengths may share a batch; what lies beyond `lengths` is not looked at."""
        self.encoder.to(waveform.device)
        cut, row = windows(waveform, lengths, size=self.config.window)
        total = waveform.new_zeros(len(waveform), self.dim)
        for first in range(0, len(row), _WINDOWS_AT_ONCE):
            part = slice(first, first + _WINDOWS_AT_ONCE)
            vectors = self.encoder(spectrogram(cut[part], self.config)).squeeze(1)
            total.index_add_(0, row[part], nn.functional.normalize(vectors))
        return nn.functional.normalize(total)

    @cached_property
    def extractor_digest(self) -> str:
        """12 hex of SHA-256 over the encoder's weights and its configuration."""
        return digest(fingerprint(self.config).encode() + self._weights(), 12)

    def save(self, folder: Path) -> None:
        """Writes `weights.safetensors` (matrices as float16) and `config.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.safetensors").write_bytes(self._weights())
        config = {
            "dim": self.dim,
            "threshold": self.threshold,
            "calibration": list(self.calibration),
            "extractor_digest": self.extractor_digest,
            "encoder": dataclasses.asdict(self.config),
            "training": self.training,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "SpeakerModel":
        """Reads what `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            weights = parse((folder / "weights.safetensors").read_bytes())
            config = EncoderConfig(**{**stored["encoder"], "mel": MelConfig(**stored["encoder"]["mel"])})
            encoder = network(config)
            encoder.load_state_dict({name: _widened(value) for name, value in weights.items()})
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"expected a speaker model (config.json, weights.safetensors) in {folder}: {error}; "
                "train one with `undertone models train speaker`"
            ) from error
        slope, offset = stored["calibration"]
        return cls(
            encoder,
            config,
            threshold=stored["threshold"],
            calibration=(slope, offset),
            training=stored.get("training"),
        )

    def _weights(self) -> bytes:
        state = self.encoder.state_dict()
        return serialise({name: _narrowed(value.cpu()).contiguous() for name, value in state.items()})


def _narrowed(value: Tensor) -> Tensor:
    return value.half() if value.ndim > 1 else value  # the norms' running statistics keep their precision


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


class _Pyfunc:
    """The model behind MLflow's loader_module protocol."""

    def __init__(self, model: SpeakerModel) -> None:
        self.model = model
        self.threshold, self.calibration = model.threshold, model.calibration
        self.dim, self.extractor_digest = model.dim, model.extractor_digest

    def predict(
        self,
        model_input: dict[str, np.ndarray],  # waveform (n, time) float32 at 16 kHz, lengths (n,)
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> np.ndarray:  # (n, dim) float32
        """Embeddings, computed where the machine is fastest."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        waveform = torch.as_tensor(np.asarray(model_input["waveform"], np.float32), device=device)
        lengths = torch.as_tensor(np.asarray(model_input["lengths"], np.int64), device=device)
        embedded: np.ndarray = self.model.embed(waveform, lengths).cpu().numpy()
        return embedded


def _load_pyfunc(data_path: str) -> _Pyfunc:
    return _Pyfunc(SpeakerModel.load(Path(data_path)))
