"""Resources of one worker: threads, processes, time and memory. They change no result."""

import os
from dataclasses import dataclass, replace

from data_contracts.errors import UsageError
from data_contracts.object_store.retry import RetryPolicy

_BASE_MB = 1_100  # of Python, torch, the models, one batch and a decoder, before the first recording
_BYTES_PER_SECOND = 16_000 * 4
_GPU_FIRST_BLOCK_S, _GPU_MAX_BLOCK_S = 900.0, 3_600.0  # a GPU takes nearly as long for a minute as for ten


@dataclass(frozen=True)
class Resources:
    """Threads, processes, time and memory of one worker."""

    n_readers: int = 16  # objects read at a time
    n_ahead: int = 512  # small objects read and decoded ahead; larger ones are bounded by bytes and seconds
    n_decoders: int = 1  # decoding processes beside the worker; 0: chosen by `fit_to_machine`
    first_block_s: float = 45.0  # of audio computed first, while the rest of the shard is being decoded
    most_block_s: float = 900.0  # maximum of audio computed together, within memory; both change in `fit_to_machine`
    decode_timeout_s: int = 60  # without a sign of life from a decoder, before its file is rejected
    memory_mb: int = 2_000  # of a worker and its decoders together
    long_s: float = 1_800.0  # recordings longer than this are split over tasks by time
    retry_policy: RetryPolicy = RetryPolicy()  # for the store of the audio

    def __post_init__(self) -> None:
        if self.memory_mb < _BASE_MB + 200:
            raise UsageError(f"memory_mb: expected {_BASE_MB + 200} or more, found {self.memory_mb}")
        if self.long_s < 60 or self.decode_timeout_s < 1:
            raise UsageError(
                f"expected long_s of 60 or more and decode_timeout_s of 1 or more, found {self.long_s:g} and "
                f"{self.decode_timeout_s:g}"
            )

    def fit_to_machine(self) -> "Resources":
        """Return resources with decoders, readers and block sizes for the machine of the call.

        One decoder beside a worker on a core; beside a GPU, which decodes nothing, as many as there are cores for each
        GPU. A GPU also computes longer blocks: one thread launches every step, whatever its size.
        """
        import torch

        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        n_decoders = self.n_decoders or count_decoders(n_gpus)
        return replace(
            self,
            n_decoders=n_decoders,
            n_readers=self.n_readers if self.n_decoders else max(self.n_readers, 2 * n_decoders),
            first_block_s=max(self.first_block_s, _GPU_FIRST_BLOCK_S) if n_gpus else self.first_block_s,
            most_block_s=max(self.most_block_s, _GPU_MAX_BLOCK_S) if n_gpus else self.most_block_s,
        )

    @property
    def block_s(self) -> float:
        """Seconds of decoded audio computed together; as many are decoded ahead."""
        return min(self.most_block_s, (self.memory_mb - _BASE_MB) * 1e6 / 8 / _BYTES_PER_SECOND)

    @property
    def allocator_cache_bytes(self) -> int:
        """Bytes of free memory that a worker keeps for its next batch instead of returning them."""
        return min(512_000_000, (self.memory_mb - _BASE_MB) * 1_000_000 // 4)

    @property
    def read_ahead_bytes(self) -> int:
        """Bytes of objects that are read and not yet decoded."""
        return min(64_000_000, (self.memory_mb - _BASE_MB) * 1_000_000 // 8)

    @property
    def decoder_bytes(self) -> int:
        """Bytes that a decoder may allocate."""
        return max(400_000_000, (self.memory_mb - _BASE_MB) * 1_000_000 // 2)


def count_decoders(n_gpus: int) -> int:
    """Return the decoders of a worker on this machine. Workers of Dask-CUDA see all GPUs, each another one first."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, n_cores // n_gpus - 1) if n_gpus else 1


def use_full_precision() -> None:
    """Make a GPU compute convolutions in full float32, as a CPU does: without TF32, torch's default there."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
