"""WeSpeaker's ResNet as a pulled encoder, and its sliding windows at the cost of one pass.

The frames of the last stage are computed once, in chunks as long as the network was trained on, and their sums added
up hop by hop; the mean and deviation of a window are those of its hops.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from models.speaker.encoder import SAMPLE_RATE, cut_windows
from models.wespeaker.fbank import kaldi_fbank, n_frames
from models.wespeaker.network import ResNet, ResNetShape
from models.wespeaker.weights import filled

_CHUNK = 2 * SAMPLE_RATE  # samples
_CHUNKS_PER_BATCH = {"cpu": 8, "cuda": 256}
_MIN_VARIANCE = 1e-8


class ResnetEncoder:
    """Encoder of `models.pretrained.speaker`: a `models.wespeaker.network.ResNet` of a given shape."""

    kind = "wespeaker-resnet"

    def __init__(self, network: ResNet) -> None:
        self.network = network
        self.arguments = {"network": network.shape.record()}
        self.dim = network.shape.dim

    @property
    def weights(self) -> dict[str, Tensor]:
        """The network's tensors, on the host."""
        return {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}

    @classmethod
    def restored(cls, stored: dict[str, Any], weights: dict[str, Tensor]) -> Self:
        """Return the encoder of stored arguments and weights. Raises ModelError, and KeyError where one is missing."""
        shape = stored["network"]
        return cls(filled(ResNet(ResNetShape(**shape | {"blocks": tuple(shape["blocks"])})), weights, "config.json"))

    def embed(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Return an embedding a row, as the network makes it."""
        return self.network.to(waveform.device).embed(waveform, lengths)

    def sliding_embeddings(
        self, waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float
    ) -> list[list[Tensor]]:
        """Return embeddings of sliding windows: window i of a row covers `window_s` from i · `hop_s` on.

        Only whole windows count, but each row has at least one; they are of unit length, on the host.
        """
        self.network.to(waveform.device)
        hop = round(hop_s * SAMPLE_RATE)
        sizes = [round(window_s / hop_s) for window_s in windows_s]
        n_hops = (lengths // hop).clamp_min(1)
        by_hop = self._sums_by_hop(waveform, lengths, hop=hop, width=max(*sizes, int(n_hops.max())))
        rows = []
        for sums, n in zip(by_hop, n_hops.tolist(), strict=True):
            windows = [self._pool(sums[: max(n, size)].unfold(0, size, 1).sum(-1)).cpu() for size in sizes]
            rows.append([vectors[: max(1, n - size + 1)] for vectors, size in zip(windows, sizes, strict=True)])
        return rows

    def _sums_by_hop(self, waveform: Tensor, lengths: Tensor, *, hop: int, width: int) -> Tensor:
        """Return the count, sums and sums of squares (rows, width, 3, n_pooled) of the frames of each hop.

        Where the chunks of a row overlap, both count; a frame beyond a row's last whole hop counts nowhere.
        """
        chunks, row, start = cut_windows(waveform, lengths, size=_CHUNK)
        step = _CHUNKS_PER_BATCH.get(waveform.device.type, _CHUNKS_PER_BATCH["cpu"])
        sums = waveform.new_zeros(len(waveform) * (width + 1), 3, self.network.shape.n_pooled)
        for part in (slice(first, first + step) for first in range(0, len(chunks), step)):
            n_samples = torch.full((len(chunks[part]),), _CHUNK, device=waveform.device)
            bands = kaldi_fbank(chunks[part], n_samples, self.network.shape.n_bands)
            frames = self.network.frames(bands, n_frames(n_samples))[0].float()
            middle = (torch.arange(frames.shape[2], device=frames.device) + 0.5) * (_CHUNK / frames.shape[2])
            place = ((start[part, None] + middle.long()) // hop).clamp_max(width) + row[part, None] * (width + 1)
            values = frames.transpose(1, 2).flatten(0, 1)
            sums.index_add_(0, place.flatten(), torch.stack([torch.ones_like(values), values, values.square()], dim=1))
        return sums.view(len(waveform), width + 1, 3, -1)[:, :width]

    def _pool(self, sums: Tensor) -> Tensor:  # (windows, 3, n_pooled) to (windows, dim) of unit length
        count, total, squares = sums.unbind(1)
        mean = total / count.clamp_min(1)
        variance = (squares - count * mean.square()) / (count - 1).clamp_min(1)
        return nn.functional.normalize(self.network.project(mean, variance.clamp_min(_MIN_VARIANCE).sqrt()))
