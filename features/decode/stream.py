"""Interface of a decoder: a header, then the samples block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_contracts.rejects import Reason

BLOCK_SAMPLES = 1 << 20  # decoded at a time, all channels together: bounds memory

Tick = Callable[[], None]


def no_tick() -> None:
    """Nobody waits for a sign of life."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before the first sample."""

    container: str  # as `containers.sniff` names it
    codec: str  # 'flac', 'wav/pcm_16', 'mp3', 'ogg/opus', 'mp4/aac'
    sample_rate_hz: int
    n_channels: int
    n_promised: int | None = None  # frames, where the file says so and can be believed
    bit_rate_bps: int | None = None  # of the audio, on average
    gap: str | None = None  # what its own sizes promise beyond its last byte, in words
    tags: tuple[str, ...] = ()  # names of the tags it carries (title, artist …), sorted; their values are not kept


class Stream(Protocol):
    """Samples from front to back. A file that does not decode raises Unusable, from any of these."""

    header: Header

    def blocks(self) -> Iterator[np.ndarray]:
        """(frames, channels) float32, full scale at 1, `BLOCK_SAMPLES` at most in each and at least one frame."""
        ...

    def skip(self, n_frames: int, tick: Tick = no_tick) -> None:
        """Before the first block: leaves out so many frames. What follows is the same, bit for bit, as without.

        `tick` is called now and then while that takes its time.
        """
        ...


class Unusable(Exception):  # noqa: N818 - it names what is wrong with the file; `features.decode.recording` makes a Reject of it
    """Why a file cannot be used: what a decoder found, in our words."""

    def __init__(self, reason: Reason, error: str, codec: str | None = None, *, n_frames: int | None = None) -> None:
        super().__init__(error)
        self.reason, self.error, self.codec, self.n_frames = reason, error, codec, n_frames


def one_line(error: Exception) -> str:
    """A foreign error in a message of ours."""
    return " ".join(f"{type(error).__name__}: {error}".split())
