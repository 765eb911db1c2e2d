"""Waveforms of any length into padded batches of nearly equal ones."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


def most_samples(device: torch.device) -> int:
    """Of a batch at 16 kHz: a minute fills a core, and keeps the DSP's memory to some hundred MB; a GPU takes more."""
    return 16_000 * (60 if device.type == "cpu" else 320)


def sorted_batches(lengths: Sequence[int], *, most_samples: int) -> Iterator[list[int]]:
    """Indices in order of length, in groups whose padded size stays within `most_samples`; one alone may exceed it.

    >>> list(sorted_batches([5, 1, 4], most_samples=10))
    [[1, 2], [0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batch and lengths[index] * (len(batch) + 1) > most_samples:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(waveforms: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """(time,) float32 arrays to a (batch, time) tensor, zeros behind each one's end, and its (batch,) lengths."""
    lengths = [len(waveform) for waveform in waveforms]
    batch = np.zeros((len(waveforms), max(lengths)), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return torch.from_numpy(batch).to(device), torch.tensor(lengths, device=device)
