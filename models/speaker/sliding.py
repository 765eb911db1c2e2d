"""Sliding-window speaker embeddings at the cost of one forward pass.

ECAPA-TDNN (Desplanques et al., Interspeech 2020) ends in attentive statistics pooling: a softmax over time weighs the
frames, their mean and deviation make the vector. The frames are computed once, in the chunks of
`models.speaker.encoder`, and the three sums that pooling needs are added up hop by hop; a window of any length is then
the sum of its hops. That costs as much as one embedding, and tells voices apart as well as embedding each window by
itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from features.dsp.batching import chunk_size, pad_batch
from models.speaker.encoder import SAMPLE_RATE, cut_windows

_CHUNKS_PER_BATCH = {"cpu": 16, "cuda": 512}  # fits a core's cache, fills a GPU
_MIN_VARIANCE = 1e-12  # as in SpeechBrain's pooling
_MIN_LOGIT = -30.0  # of a frame or a chunk, relative to the highest, so that no sum of weights is zero


@torch.inference_mode()
def sliding_embeddings(
    network: Any,  # SpeechBrain's ECAPA_TDNN
    to_spectrogram: Callable[[Tensor], Tensor],  # (n, samples) to the network's input, (n, frames, bands)
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    lengths: Tensor,  # (batch,), valid samples
    *,
    chunk: int,  # samples that the network reads at once
    windows_s: Sequence[float],
    hop_s: float,
) -> list[list[Tensor]]:  # [row][window length]: (n_windows, dim), of unit length, on the host
    """Return the embeddings of sliding windows: window i of a row covers `window_s` from i · `hop_s` on.

    Only whole windows count, but each row has at least one. A window lasts a whole number of hops. Rows of different
    lengths may share a batch; samples beyond `lengths` are ignored.
    """
    chunks, row, start = cut_windows(waveform, lengths, size=chunk)
    hop = round(hop_s * SAMPLE_RATE)
    step = chunk_size(_CHUNKS_PER_BATCH, waveform.device)
    sums, peaks = [], []
    for first in range(0, len(chunks), step):
        part = slice(first, first + step)
        part_sums, part_peak = _sums_by_hop(network, to_spectrogram(chunks[part]), start[part], chunk=chunk, hop=hop)
        sums.append(part_sums)
        peaks.append(part_peak)
    sizes = [round(window_s / hop_s) for window_s in windows_s]
    n_hops = (lengths // hop).clamp_min(1)
    by_hop = _sum_rows(torch.cat(sums), torch.cat(peaks), row, start // hop, n_hops, min_hops=max(sizes))
    pooled = [_pool(network, by_hop, n_hops=size).cpu() for size in sizes]
    return [
        [vectors[index, : max(1, n - size + 1)] for vectors, size in zip(pooled, sizes, strict=True)]
        for index, n in enumerate(n_hops.tolist())
    ]


def sliding_by_crops(
    embed: Callable[[Tensor, Tensor], np.ndarray],  # waveforms and lengths to (n, dim) of unit length
    waveform: Tensor,
    lengths: Tensor,
    *,
    windows_s: Sequence[float],
    hop_s: float,
) -> list[list[np.ndarray]]:
    """Return the same from a model that only embeds: each window by itself, at many times the cost."""
    hop = round(hop_s * SAMPLE_RATE)
    rows = []
    for samples, length in zip(waveform.cpu().numpy(), lengths.tolist(), strict=True):
        by_size = []
        for size in (round(window_s * SAMPLE_RATE) for window_s in windows_s):
            starts = range(0, max(1, length - size + 1), hop)
            by_size.append(
                embed(*pad_batch([samples[start : min(start + size, length)] for start in starts], waveform.device))
            )
        rows.append(by_size)
    return rows


def _sums_by_hop(
    network: Any, bands: Tensor, start: Tensor, *, chunk: int, hop: int
) -> tuple[Tensor, Tensor]:  # (n, hops, 3, channels) from the chunk's first hop on, (n, channels)
    """Return the sums of weights, weighted values and weighted squares by hop, and the peak logit of each chunk.

    Weights are relative to the peak. This is the network's own pooling, without its last division.
    """
    frames = _frames(network, bands)
    logits = _attention_logits(network.asp, frames)
    peak = logits.amax(2)
    weights = (logits - peak[:, :, None]).clamp_min(_MIN_LOGIT).exp()
    n_frames = frames.shape[2]
    middle = start[:, None] + ((torch.arange(n_frames, device=bands.device) + 0.5) * (chunk / n_frames)).long()
    local_hop = middle // hop - (start // hop)[:, None]
    spread = nn.functional.one_hot(local_hop, -(-chunk // hop) + 1).to(frames.dtype)  # (n, frames, hops)
    weighted = weights * frames
    sums = torch.stack([weights, weighted, weighted * frames], dim=1)  # (n, 3, channels, frames)
    return (sums @ spread[:, None]).permute(0, 3, 1, 2), peak


def _frames(network: Any, bands: Tensor) -> Tensor:  # (n, channels, frames)
    x, outputs = bands.transpose(1, 2), []
    for block in network.blocks:
        x = block(x)
        outputs.append(x)
    merged: Tensor = network.mfa(torch.cat(outputs[1:], dim=1))
    return merged


def _attention_logits(pooling: Any, frames: Tensor) -> Tensor:  # (n, channels, frames)
    """Return the logits of the weights; each frame in the context of its chunk, where the network was built so."""
    first = pooling.tdnn
    if pooling.global_context:  # the layer on [frames, mean, deviation], of which two do not change over time
        mean = frames.mean(2)
        deviation = (frames.square().mean(2) - mean.square()).clamp_min(_MIN_VARIANCE).sqrt()
        weight, bias = first.conv.conv.weight[:, :, 0], first.conv.conv.bias
        of_frames, of_chunk = weight.split([frames.shape[1], 2 * frames.shape[1]], dim=1)
        chunk = torch.cat([mean, deviation], dim=1) @ of_chunk.T + bias
        hidden = first.norm(first.activation(of_frames @ frames + chunk[:, :, None]))
    else:
        hidden = first(frames)
    logits: Tensor = pooling.conv(pooling.tanh(hidden))
    return logits


def _sum_rows(
    sums: Tensor,  # (n, hops, 3, channels), as of `_sums_by_hop`
    peak: Tensor,  # (n, channels)
    row: Tensor,  # (n,)
    first_hop: Tensor,  # (n,)
    n_hops: Tensor,  # (rows,) of each row
    *,
    min_hops: int,
) -> Tensor:  # (rows, hops, 3, channels), `min_hops` or more; 0 beyond the end of a row
    """Return the sums by hop of each row, relative to its highest logit; where its chunks overlap, both count."""
    highest = torch.full((len(n_hops), peak.shape[1]), -torch.inf, device=peak.device)
    highest = highest.scatter_reduce(0, row[:, None].expand_as(peak), peak, "amax")
    scaled = sums * (peak - highest[row]).clamp_min(_MIN_LOGIT).exp()[:, None, None]
    place = first_hop[:, None] + torch.arange(sums.shape[1], device=sums.device)
    width = max(min_hops, int(n_hops.max()), int(place.max()) + 1)
    joined = sums.new_zeros(len(n_hops) * width, *sums.shape[2:])
    joined.index_add_(0, (row[:, None] * width + place).flatten(), scaled.flatten(0, 1))
    is_valid = torch.arange(width, device=sums.device) < n_hops[:, None]
    return joined.view(len(n_hops), width, *sums.shape[2:]) * is_valid[:, :, None, None]


def _pool(network: Any, by_hop: Tensor, *, n_hops: int) -> Tensor:  # (rows, windows, dim)
    windowed = by_hop.unfold(1, n_hops, 1).sum(-1)
    weight, total, squares = windowed.unbind(2)
    weight = torch.where(weight > 0, weight, 1.0)  # beyond a row's end
    mean = total / weight
    deviation = (squares / weight - mean.square()).clamp_min(_MIN_VARIANCE).sqrt()
    pooled = torch.cat([mean, deviation], dim=2).flatten(0, 1)
    vectors = network.fc(network.asp_bn(pooled[:, :, None])).squeeze(2)
    return nn.functional.normalize(vectors).view(*weight.shape[:2], -1)
