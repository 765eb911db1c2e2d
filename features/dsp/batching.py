"""Padded batches of waveforms of similar length, as large as a device's memory allows."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError

R = TypeVar("R")

_SAMPLE_RATE = 16_000
_MEMORY_SHARE = 0.5  # of a device's memory, for a batch and all that is computed from it
_SAMPLE_BYTES = 500  # of memory for each sample of a batch at the peak; 75 were measured (tests/bench/README.md)
_MIN_BATCH_S, _MAX_BATCH_S = 60, 3_600
_OOM_PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "alloc_failed")

_max_samples_after_oom: dict[str, int] = {}  # by kind of device (a worker has one), after it ran out of memory


def chunk_size(amounts: Mapping[str, int], device: torch.device) -> int:
    """Return the amount to work on at a time, by the kind of device; an unknown kind gets that of a core.

    >>> chunk_size({"cpu": 64, "cuda": 1024}, torch.device("cuda"))
    1024
    """
    return amounts.get(device.type, amounts["cpu"])


def max_batch_samples(device: torch.device, *, cpu_s: int = _MIN_BATCH_S) -> int:
    """Return the largest size of a batch at 16 kHz, in samples.

    A minute fills a core, and keeps the DSP's memory to some hundred MB; a GPU takes as much as fits its memory.
    """
    limit = samples_for_memory(free_memory_bytes(device)) if device.type == "cuda" else cpu_s * _SAMPLE_RATE
    return min(limit, _max_samples_after_oom.get(device.type, limit))


def samples_for_memory(n_bytes: int) -> int:
    """Return the samples of a batch on a device with `n_bytes` of memory.

    >>> [samples_for_memory(gib << 30) // 16_000 for gib in (1, 16, 80)]  # seconds
    [67, 1073, 3600]
    """
    return int(
        min(_MAX_BATCH_S * _SAMPLE_RATE, max(_MIN_BATCH_S * _SAMPLE_RATE, n_bytes * _MEMORY_SHARE / _SAMPLE_BYTES))
    )


def free_memory_bytes(device: torch.device) -> int:
    """Return a GPU's free memory; memory that this process has reserved and does not use counts as free."""
    free, total = torch.cuda.mem_get_info(device)
    if torch.cuda.get_allocator_backend() == "pluggable":  # a pool (RMM) manages all of it for this process
        return total
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def sorted_batches(lengths: Sequence[int], *, max_samples: int) -> Iterator[list[int]]:
    """Yield indices in order of length, in groups whose padded size is at most `max_samples`; one alone may exceed it.

    >>> list(sorted_batches([5, 1, 4], max_samples=10))
    [[1, 2], [0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batch and lengths[index] * (len(batch) + 1) > max_samples:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad_batch(waveforms: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Stack (time,) float32 arrays to a zero-padded (batch, time) tensor, and return it with its (batch,) lengths."""
    batch, lengths = _pad_on_host(waveforms)
    return batch.to(device), lengths.to(device)


def map_batches(
    compute: Callable[[Tensor, Tensor], Sequence[R]],  # (batch, time) and (batch,) lengths to a result of each row
    waveforms: Sequence[np.ndarray],  # (time,) float32
    device: torch.device,
    *,
    max_samples: int,
) -> list[R]:
    """Return `compute`'s result for each waveform, in their order; computed in batches of similar length.

    The next batch is copied to the device while one is computed. A batch that exceeds the device's memory is computed
    in halves, and the batches after it are smaller.
    """
    batches = list(sorted_batches([len(waveform) for waveform in waveforms], max_samples=max_samples))
    loaded = _load_batches(([waveforms[index] for index in batch] for batch in batches), device)
    results: dict[int, R] = {}
    for batch, (waveform, lengths) in zip(batches, loaded, strict=True):
        results.update(zip(batch, halve_on_oom(compute, waveform, lengths), strict=True))
    return [results[index] for index in range(len(waveforms))]


def halve_on_oom(compute: Callable[[Tensor, Tensor], Sequence[R]], waveform: Tensor, lengths: Tensor) -> list[R]:
    """Return `compute`'s result, of halves of the batch if memory runs out; raise its error for a single row."""
    try:
        return [*compute(waveform, lengths)]
    except (MemoryError, RuntimeError) as error:
        if len(waveform) == 1 or not is_out_of_memory(error):
            raise
    # Outside of the handler, since the error's frames hold references to the tensors computed so far.
    if waveform.device.type == "cuda":
        torch.cuda.empty_cache()
    middle, kind = len(waveform) // 2, waveform.device.type
    _max_samples_after_oom[kind] = min(
        _max_samples_after_oom.get(kind, waveform.numel()), max(_SAMPLE_RATE, waveform.numel() // 2)
    )
    halves = (slice(None, middle), slice(middle, None))
    parts = ((waveform[half, : max(1, int(lengths[half].max()))], lengths[half]) for half in halves)
    return [*chain.from_iterable(halve_on_oom(compute, *part) for part in parts)]


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was too small: the machine's, or a device's, by the messages of the allocators in use."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OOM_PHRASES)


def _pad_on_host(waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    if not waveforms:
        raise UsageError("expected at least one waveform, found an empty batch: leave it out")
    lengths = [len(waveform) for waveform in waveforms]
    batch = np.zeros((len(waveforms), max(lengths)), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return torch.from_numpy(batch), torch.tensor(lengths)


def _load_batches(batches: Iterable[Sequence[np.ndarray]], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each batch on the device; on a GPU the next one is copied, from pinned memory, while one is computed."""
    if device.type != "cuda":
        yield from (pad_batch(batch, device) for batch in batches)
        return
    copies, ahead = torch.cuda.Stream(device), deque[tuple[Tensor, Tensor, torch.cuda.Event]]()  # type: ignore[no-untyped-call]
    for batch in batches:
        pinned = [tensor.pin_memory() for tensor in _pad_on_host(batch)]
        with torch.cuda.stream(copies):
            waveform, lengths = (tensor.to(device, non_blocking=True) for tensor in pinned)
            ahead.append((waveform, lengths, copies.record_event()))
        if len(ahead) == 2:
            yield _await_copy(*ahead.popleft())
    yield from (_await_copy(*each) for each in ahead)


def _await_copy(waveform: Tensor, lengths: Tensor, copied: "torch.cuda.Event") -> tuple[Tensor, Tensor]:
    """Make the computing stream wait for the copy, and keep the copy's memory until computing is done."""
    computing = torch.cuda.current_stream(waveform.device)
    computing.wait_event(copied)
    for tensor in (waveform, lengths):
        tensor.record_stream(computing)
    return waveform, lengths
