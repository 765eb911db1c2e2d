"""How much of a machine a shard may take. Nothing here changes a result."""

from dataclasses import dataclass

from data_contracts.errors import UsageError
from data_contracts.patience import Patience

_LEAST_MB = 1_100  # what Python, torch, the models, one batch and a decoder take before the first recording is held
_SECOND_BYTES = 16_000 * 4


@dataclass(frozen=True)
class Resources:
    """Threads, processes, time and memory of one worker."""

    n_readers: int = 16  # objects that are read at a time
    n_decoders: int = 1  # processes that decode, beside the worker
    decode_timeout_s: int = 60  # without a sign of life from a decoder, until its file is given up
    memory_mb: int = 2_000  # that a worker and its decoders may take together
    long_s: float = 1_800.0  # recordings longer than this are split over tasks by time
    patience: Patience = Patience()  # with the store of the audio

    def __post_init__(self) -> None:
        if self.memory_mb < _LEAST_MB + 200:
            raise UsageError(f"memory_mb: expected {_LEAST_MB + 200} or more, found {self.memory_mb}")
        if self.long_s < 60 or self.decode_timeout_s < 1:
            raise UsageError(
                f"expected long_s of 60 or more and decode_timeout_s of 1 or more, found {self.long_s:g} and "
                f"{self.decode_timeout_s:g}"
            )

    @property
    def block_s(self) -> float:
        """Seconds of decoded audio that are computed together; as many are decoded ahead of them."""
        return min(900.0, (self.memory_mb - _LEAST_MB) * 1e6 / 8 / _SECOND_BYTES)

    @property
    def freed_bytes(self) -> int:
        """That a worker keeps for its next batch when they are free, instead of giving them back."""
        return min(512_000_000, (self.memory_mb - _LEAST_MB) * 1_000_000 // 4)

    @property
    def bytes_ahead(self) -> int:
        """Of objects that are read, and not yet decoded."""
        return min(64_000_000, (self.memory_mb - _LEAST_MB) * 1_000_000 // 8)

    @property
    def decoder_bytes(self) -> int:
        """That a decoder may allocate."""
        return max(400_000_000, (self.memory_mb - _LEAST_MB) * 1_000_000 // 2)
