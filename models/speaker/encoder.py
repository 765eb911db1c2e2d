"""Network of the speaker encoder, and its input: log-mel spectrograms of two-second windows, less each band's mean.

ECAPA-TDNN (Desplanques et al., Interspeech 2020) as SpeechBrain builds it, small. It sees whole windows only, so
that padding, batch and neighbours change nothing.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from data_contracts.fingerprint import fingerprint
from features.dsp.mel import MelConfig, log_mel
from models.speechbrain_compat import speechbrain_importable

SAMPLE_RATE = 16_000
_RMS_LEVEL = 0.05  # that every window is brought to: loudness says little about the speaker
_LATER_FIELDS = {"frames_joined": 1, "scale": 8}  # older models have neither, and keep their digest
_MEAN_BAND = -10.0  # about the mean of speech at that level, so that the input lies around zero


@dataclass(frozen=True)
class EncoderConfig:
    """Size of the network, and its input: `window_s` of log-mel frames.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    dim: int = 128
    channels: int = 160
    merged_channels: int = 320  # after the three blocks' outputs are joined
    attention_channels: int = 64
    window_s: float = 2.0
    mean_kept: float = 1.0  # of each band's mean over the window; 0 takes it away, and with it what a channel adds
    mel: MelConfig = MelConfig(hop_s=0.016)
    frames_joined: int = 1  # of log-mel into one of the network's
    scale: int = 8  # groups of channels in a block, each heard through the ones before (Res2Net)

    def fingerprint(self) -> str:
        """Return a digest of this configuration, 12 hex digits; of an older model's, what it was then."""
        fields = {name: value for name, value in asdict(self).items() if value != _LATER_FIELDS.get(name)}
        return fingerprint({"__type__": "EncoderConfig", **fields})

    @property
    def window(self) -> int:
        """Length of a window in samples."""
        return round(self.window_s * SAMPLE_RATE)


STUDENT = EncoderConfig(dim=192, channels=256, merged_channels=512, frames_joined=2, scale=4)  # of the shipped weights


def import_network_class() -> Any:
    """Import and return SpeechBrain's network class; a second the first time."""
    with speechbrain_importable():
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    return ECAPA_TDNN


def build_network(config: EncoderConfig) -> nn.Module:
    """Return an untrained encoder, from (batch, frames, n_mels · frames_joined) to (batch, 1, dim)."""
    built: nn.Module = import_network_class()(
        config.mel.n_mels * config.frames_joined,
        lin_neurons=config.dim,
        channels=[config.channels] * 4 + [config.merged_channels],
        attention_channels=config.attention_channels,
        se_channels=config.attention_channels,
        res2net_scale=config.scale,
    )
    return built


def cut_windows(
    waveform: Tensor,  # (batch, time)
    lengths: Tensor,  # (batch,), valid samples
    *,
    size: int,
) -> tuple[Tensor, Tensor, Tensor]:  # (n, size), (n,) row of each window, (n,) its first sample
    """Cut each row into as many evenly spaced windows as cover it; a shorter row is repeated until it fills one."""
    lengths = lengths.long()
    counts = ((lengths + size - 1) // size).clamp_min(1)
    row = torch.repeat_interleave(torch.arange(len(lengths), device=waveform.device), counts)
    place = torch.arange(len(row), device=waveform.device) - (counts.cumsum(0) - counts)[row]
    start = place * (lengths[row] - size).clamp_min(0) // (counts[row] - 1).clamp_min(1)
    period = lengths[row].clamp(1, size)
    samples = start[:, None] + torch.arange(size, device=waveform.device) % period[:, None]
    cut = waveform[row[:, None], samples] if waveform.shape[1] else waveform.new_zeros(len(row), size)
    return torch.where(lengths[row, None] > 0, cut, 0.0), row, start


def spectrogram(
    cut: Tensor,  # (n, window) samples
    config: EncoderConfig,
) -> Tensor:  # (n, frames, n_mels · frames_joined)
    """Return the network's input: `log_bands`, every few frames side by side."""
    return join_frames(log_bands(cut, config), config)


def join_frames(bands: Tensor, config: EncoderConfig) -> Tensor:  # (n, frames, n_mels) to the network's input
    """Return every `frames_joined` frames side by side; what is left at the end is dropped."""
    n_frames = bands.shape[1] // config.frames_joined
    return bands[:, : n_frames * config.frames_joined].reshape(len(bands), n_frames, -1)


def log_bands(
    cut: Tensor,  # (n, window) samples
    config: EncoderConfig,
) -> Tensor:  # (n, frames, n_mels)
    """Return log-mel of the window at a fixed level, less each band's mean over the window."""
    level = cut.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
    lengths = torch.full((len(cut),), cut.shape[1], device=cut.device)
    bands, _ = log_mel(cut * (_RMS_LEVEL / level), lengths, config=config.mel, sample_rate=SAMPLE_RATE)
    return bands - (1 - config.mean_kept) * bands.mean(1, keepdim=True) - config.mean_kept * _MEAN_BAND
