"""Interface of a decoder: a header, then the samples block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_contracts.rejects import Reason

BLOCK_SAMPLES = 1 << 20  # decoded at a time, all channels together: bounds memory

Tick = Callable[[], None]


def no_tick() -> None:
    """Do nothing: no caller waits for a sign of life."""


@dataclass(frozen=True)
class Header:
    """Properties that a file states before its first sample."""

    container: str  # as `containers.sniff` names it
    codec: str  # 'flac', 'wav/pcm_16', 'mp3', 'ogg/opus', 'mp4/aac'
    sample_rate_hz: int
    n_channels: int
    n_promised: int | None = None  # frames, where the file says so and can be believed
    bit_rate_bps: int | None = None  # of the audio, on average
    gap: str | None = None  # the part that its own sizes promise beyond its last byte, in words
    n_bytes: int = 0  # that hold its audio
    n_missing_bytes: int = 0  # of the gap, as far as they are known
    tags: tuple[str, ...] = ()  # names of the tags it carries (title, artist …), sorted; their values are not kept


class Stream(Protocol):
    """Samples from front to back. Every method raises Unusable where the file does not decode."""

    header: Header

    @property
    def flaws(self) -> list[str]:
        """Return in words what was odd in the samples, of the blocks so far."""
        ...

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (frames, channels) float32, full scale at 1, of one frame to `BLOCK_SAMPLES` samples."""
        ...

    def skip(self, n_frames: int, tick: Tick = no_tick) -> None:
        """Skip frames before the first block. The rest is the same, bit for bit, as without skipping.

        `tick` is called now and then meanwhile.
        """
        ...


class Unusable(Exception):  # noqa: N818 - it names what is wrong with the file; `features.decode.recording` makes a Reject of it
    """Error of a file that cannot be used, with the reason of its reject."""

    def __init__(
        self,
        reason: Reason,
        error: str,
        codec: str | None = None,
        *,
        n_frames: int | None = None,
        missing_s: float = 0.0,  # of a truncated file, where it says so
    ) -> None:
        super().__init__(error)
        self.reason, self.error, self.codec = reason, error, codec
        self.n_frames, self.missing_s = n_frames, missing_s


def one_line(error: Exception) -> str:
    """Format a foreign error for a message of ours, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
