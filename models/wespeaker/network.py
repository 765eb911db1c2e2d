"""Network of WeSpeaker's ResNet18 and ResNet34: convolutions over time and bands, statistics over time, one layer.

He et al., *Deep residual learning for image recognition*, CVPR 2016, with a narrow first layer and without its
pooling; batch normalisation is part of the convolutions' weights (`models.wespeaker.weights`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.wespeaker.fbank import FRAME, kaldi_fbank, n_frames

_EPSILON = 1e-8


@dataclass(frozen=True)
class ResNetShape:
    """Size of a network: blocks of the four stages, channels of the first, bands of the input, numbers of the output.

    The channels double and the frames halve with every stage after the first.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    channels: int = 32
    n_bands: int = 80
    dim: int = 256

    @property
    def n_pooled(self) -> int:
        """Channels times bands after the last stage, of which mean and deviation are taken."""
        bands: int = self.n_bands
        for _ in self.blocks[1:]:
            bands = halved(bands)
        last: int = self.channels * 2 ** (len(self.blocks) - 1)
        return last * bands

    def record(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self) | {"blocks": list(self.blocks)}


def halved(n: Any) -> Any:
    """Return the frames or bands that a convolution of stride 2 leaves of `n`."""
    return (n + 1) // 2


class _Block(nn.Module):
    """Two convolutions, and the input added to what they make of it."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1)
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride) if stride != 1 or n_in != n_out else None

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        inner = _masked(self.conv1(x).relu_(), mask)
        added: Tensor = self.conv2(inner) + (x if self.shortcut is None else self.shortcut(x))
        return _masked(added.relu_(), mask)


class ResNet(nn.Module):
    """Speaker encoder on waveforms: `embed`, and its parts `frames` and `project`."""

    def __init__(self, shape: ResNetShape = ResNetShape()) -> None:
        super().__init__()
        self.shape = shape
        self.conv1 = nn.Conv2d(1, shape.channels, 3, 1, 1)
        self.stages = nn.ModuleList()
        n_in = shape.channels
        for stage, n_blocks in enumerate(shape.blocks):
            n_out = shape.channels * 2**stage
            self.stages.append(
                nn.ModuleList(
                    _Block(n_out if block else n_in, n_out, 2 if stage and not block else 1)
                    for block in range(n_blocks)
                )
            )
            n_in = n_out
        self.linear = nn.Linear(2 * shape.n_pooled, shape.dim)

    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32, of no particular length
        """Return an embedding a row; padding, batch and neighbours change nothing. Less than 25 ms counts as silence.

        Rows of one length cost least: no padding has to be kept out of the convolutions.
        """
        waveform = nn.functional.pad(waveform, (0, max(0, FRAME - waveform.shape[1])))
        lengths = lengths.clamp_min(FRAME)
        is_valid = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
        bands = kaldi_fbank(torch.where(is_valid, waveform, 0.0), lengths, self.shape.n_bands)
        frames, n = self.frames(bands, n_frames(lengths))
        return self.project(*_statistics(frames.float(), n))

    def frames(
        self,
        bands: Tensor,  # (batch, frames, n_bands)
        n: Tensor,  # (batch,), valid frames
    ) -> tuple[Tensor, Tensor]:  # (batch, n_pooled, frames after the stages), and (batch,) valid ones
        """Return what the last stage makes of the frames, a column for 8 of them."""
        is_padded = bool((n < bands.shape[1]).any())
        x = bands.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        mask = _time_mask(n, x) if is_padded else None
        x = _masked(self.conv1(x).relu_(), mask)
        for stage, blocks in enumerate(self.stages):
            if stage:
                n = halved(n)
                mask = _time_mask(n, x[..., ::2]) if is_padded else None
            for block in _modules(blocks):
                x = block(x, mask)
        return x.flatten(1, 2), n

    def project(self, mean: Tensor, deviation: Tensor) -> Tensor:  # (…, n_pooled) twice, to (…, dim)
        """Return the embedding of frames with these statistics."""
        vector: Tensor = self.linear(torch.cat([mean, deviation], dim=-1))
        return vector.float()


def _statistics(frames: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:  # (batch, n_pooled) twice
    """Return mean and deviation of the valid frames, the deviation of a sample (n - 1)."""
    is_valid = (torch.arange(frames.shape[2], device=frames.device) < n[:, None])[:, None]
    count = n[:, None].to(frames.dtype)
    mean = torch.where(is_valid, frames, 0.0).sum(2) / count
    squares = torch.where(is_valid, frames - mean[:, :, None], 0.0).square().sum(2)
    return mean, (squares / (count - 1 + _EPSILON)).sqrt()


def _time_mask(n: Tensor, like: Tensor) -> Tensor:  # (batch, 1, 1, frames)
    return (torch.arange(like.shape[3], device=like.device) < n[:, None])[:, None, None]


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _modules(blocks: Any) -> Sequence[nn.Module]:
    return list(blocks)
