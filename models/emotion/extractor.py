"""Extractor of emotion embeddings: the beginning of Whisper's encoder, an utterance to a vector.

Utterance at a fixed level, its middle if it is long -> log-mel, 100 frames a second -> two convolutions, 50 a second ->
pairs of frames through one transformer layer, 25 a second -> means over the utterance -> a linear map to what more of
the encoder would say, by principal components (`models.emotion.distillation`). The vectors are the feature set
`emotion_embeddings`, so that scoring again reads no audio.

Whisper: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022.
"""

import dataclasses
import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest, fingerprint
from features.decode.config import SAMPLE_RATE
from features.dsp.frames import length_mask
from features.dsp.mel import MelConfig, log_mel
from models import WEIGHTS

VERSION = "emotion-embeddings-1"
_RMS_LEVEL = 0.05  # that every utterance is brought to: loudness is among the functionals
_RANGE = 8.0  # decades of power below an utterance's loudest band
_KERNEL, _STRIDE = 3, 2


@dataclass(frozen=True)
class ExtractorConfig:
    """Size of the network and its input.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    width: int = 384
    heads: int = 6
    hidden: int = 1536  # of the layer's feed-forward part
    longest_s: float = 6.0  # the middle of longer utterances is enough, and bounds the cost
    mel: MelConfig = MelConfig(f_min_hz=0.0, f_max_hz=8000.0, n_fft=400)


class FrameNetwork(nn.Module):
    """From (batch, frames, n_mels) at 100 frames a second to (batch, 2 * width): means of layer and convolutions."""

    def __init__(self, config: ExtractorConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.conv1 = nn.Conv1d(config.mel.n_mels, width, _KERNEL, padding=1)
        self.conv2 = nn.Conv1d(width, width, _KERNEL, padding=1, stride=_STRIDE)
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, config.hidden), nn.Linear(config.hidden, width)

    def forward(
        self,
        bands: Tensor,  # (batch, frames, n_mels), 0 where not valid
        n_frames: Tensor,  # (batch,), valid ones
    ) -> Tensor:  # (batch, 2 * width)
        valid = length_mask(n_frames, bands.shape[1])
        hidden = F.gelu(self.conv1(bands.transpose(1, 2))) * valid[:, None]
        hidden = F.gelu(self.conv2(hidden)).transpose(1, 2)
        mask = length_mask((n_frames + 1) // 2, hidden.shape[1])
        paired, pairs = pair_frames(hidden + positions(hidden.shape[1], self.config.width, hidden.device), mask)
        paired = paired + self._attend(self.attention_norm(paired), pairs)
        paired = paired + self.down(F.gelu(self.up(self.feed_norm(paired))))
        return torch.cat([mean_frame(paired, pairs), mean_frame(hidden, mask)], dim=1)

    def _attend(self, hidden: Tensor, mask: Tensor) -> Tensor:
        n, size, width = hidden.shape
        query, key, value = self.qkv(hidden).view(n, size, 3, self.config.heads, -1).permute(2, 0, 3, 1, 4)
        keys = None if bool(mask.all()) else mask[:, None, None]
        heard = F.scaled_dot_product_attention(query, key, value, attn_mask=keys)
        attended: Tensor = self.out(heard.transpose(1, 2).reshape(n, size, width))
        return attended


def positions(n: int, width: int, device: torch.device) -> Tensor:
    """Return Whisper's sinusoids (n, width) of its frames, 50 a second."""
    rate = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2, device=device))
    turns = torch.arange(n, device=device)[:, None] * rate
    return torch.cat([turns.sin(), turns.cos()], dim=1)


def pair_frames(
    frames: Tensor,  # (batch, frames, width)
    mask: Tensor,  # (batch, frames), true where valid
) -> tuple[Tensor, Tensor]:  # (batch, frames / 2, width), (batch, frames / 2)
    """Return the means of pairs of valid frames; the last may be alone."""
    odd = frames.shape[1] % 2
    frames, mask = F.pad(frames, (0, 0, 0, odd)), F.pad(mask, (0, odd))
    weight = mask.view(len(mask), -1, 2).to(frames.dtype)
    pairs = (frames.view(len(frames), -1, 2, frames.shape[2]) * weight[..., None]).sum(2)
    return pairs / weight.sum(2, keepdim=True).clamp_min(1), weight[..., 0] > 0


def mean_frame(frames: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (batch, width) of the valid frames (batch, frames, width)."""
    return (frames * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def cut_middle(waveform: Tensor, lengths: Tensor, *, longest: int) -> tuple[Tensor, Tensor]:
    """Return the middle of each row, (batch, longest) samples at most, and its length."""
    if waveform.shape[1] <= longest:
        return waveform, lengths
    first = ((lengths - longest) // 2).clamp_min(0)
    return waveform.gather(1, first[:, None] + torch.arange(longest, device=waveform.device)), lengths.clamp_max(
        longest
    )


def at_fixed_level(waveform: np.ndarray) -> np.ndarray:
    """Return (time,) float32 at the level at which the network hears it."""
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
    return np.asarray(waveform * (_RMS_LEVEL / max(1e-5, level)), np.float32)


def spectrogram(
    waveform: Tensor,  # (batch, time)
    lengths: Tensor,  # (batch,)
    config: ExtractorConfig,
) -> tuple[Tensor, Tensor]:  # (batch, frames, n_mels), (batch,) valid frames, one at least
    """Return the network's input: log-mel at a fixed level, as Whisper scales it; 0 in frames that are not valid."""
    valid = length_mask(lengths, waveform.shape[1])
    level = ((waveform.square() * valid).sum(1) / lengths.clamp_min(1)).sqrt().clamp_min(1e-5)
    bands, n_frames = log_mel(waveform * (_RMS_LEVEL / level)[:, None], lengths, config=config.mel)
    mask = length_mask(n_frames, bands.shape[1])[..., None]
    decades = (bands / math.log(10)).masked_fill(~mask, -torch.inf)
    decades = torch.maximum(decades, decades.amax((1, 2), keepdim=True) - _RANGE)
    return ((decades + 4) / 4).masked_fill(~mask, 0.0), n_frames


class EmotionExtractor:
    """The network, and the linear map of its pooled frames to a vector of `dim` numbers, of unit variance at most."""

    def __init__(
        self,
        network: FrameNetwork,
        *,
        mean: Tensor,  # (2 * width,), of training's means
        projection: Tensor,  # (2 * width, dim)
        training: dict[str, Any] | None = None,
    ) -> None:
        self.network, self.config = network.eval(), network.config
        self.mean, self.projection = mean, projection
        self.dim = projection.shape[1]
        self.training = training or {}

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim) float32
        """Return a vector a row; padding and neighbours change nothing."""
        device = waveform.device
        self.network.to(device)
        waveform, lengths = cut_middle(waveform, lengths, longest=round(self.config.longest_s * SAMPLE_RATE))
        pooled = self.network(*spectrogram(waveform, lengths, self.config))
        vectors: Tensor = (pooled - self.mean.to(device)) @ self.projection.to(device)
        return vectors

    @functools.cached_property
    def extractor_digest(self) -> str:
        """12 hex digits of SHA-256 over weights and configuration; part of the feature version."""
        return digest(fingerprint(self.config, VERSION).encode() + serialise(self._weights()), 12)

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` (matrices as float16) and `config.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.safetensors").write_bytes(serialise(self._weights()))
        config = {
            "extractor_digest": self.extractor_digest,
            "dim": self.dim,
            "extractor": dataclasses.asdict(self.config),
            "training": self.training,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "EmotionExtractor":
        """Read a folder that `save` wrote. Raises ModelError where it is missing or does not fit."""
        try:
            stored = json.loads((folder / "config.json").read_text())
            weights = parse((folder / "weights.safetensors").read_bytes())
            state = {name: value.float() for name, value in weights.items()}
            config = ExtractorConfig(**{**stored["extractor"], "mel": MelConfig(**stored["extractor"]["mel"])})
            mean, projection = state.pop("mean"), state.pop("projection")
            network = FrameNetwork(config)
            network.load_state_dict(state)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"expected an extractor of emotion embeddings (config.json, weights.safetensors) in {folder}: {error}; "
                "install Undertone again, or make one with `python -m models.emotion.distillation`"
            ) from error
        return cls(network, mean=mean, projection=projection, training=stored.get("training"))

    def _weights(self) -> dict[str, Tensor]:
        state = self.network.state_dict() | {"mean": self.mean, "projection": self.projection}
        return {name: (v.half() if v.ndim > 1 else v.float()).cpu().contiguous() for name, v in state.items()}


@functools.cache
def shipped_extractor() -> EmotionExtractor:
    """Return the extractor of the features computed now, loaded once a process. Raises ModelError."""
    return EmotionExtractor.load(WEIGHTS / "emotion_features")
