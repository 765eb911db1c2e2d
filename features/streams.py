"""What a decoder gives: a header, and then the samples block by block. The fast path first, FFmpeg for the rest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_contracts.reasons import Reason
from features import codecs, containers
from features.content import Content

BLOCK_SAMPLES = 1 << 20  # decoded at a time, all channels together: bounds memory


Tick = Callable[[], None]


def still() -> None:
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

    def skip(self, n_frames: int, tick: Tick = still) -> None:
        """Before the first block: leaves out so many frames. What follows is the same, bit for bit, as without.

        `tick` is called now and then while that takes its time.
        """
        ...


class Unusable(Exception):  # noqa: N818 - it names what is wrong with the file; `features.audio` makes a Reject of it
    """Why a file cannot be used: what a decoder found, in our words."""

    def __init__(self, reason: Reason, error: str, codec: str | None = None, *, n_frames: int | None = None) -> None:
        super().__init__(error)
        self.reason, self.error, self.codec, self.n_frames = reason, error, codec, n_frames


@contextmanager
def open_stream(content: Content) -> Iterator[Stream]:
    """The decoder for what the bytes are, whatever the file is called. Raises Unusable, and nothing else.

    libsndfile where it knows the container, FFmpeg for the rest and for the codecs that libsndfile does not have.
    Truncation is found by the file's own sizes (see `completeness.missing`), in flac by its last frame, in mp3 by its
    Xing or Info frame. An mp3 without one does not say how long it was: a part of it is a shorter recording.
    """
    container = containers.sniff(content)
    if container not in containers.READ:
        raise refused(content, container)
    with ExitStack() as stack:
        yield _opened(stack, content, container)


def _opened(stack: ExitStack, content: Content, container: str) -> Stream:
    from features import ffmpeg, sndfile

    if not containers.by_libsndfile(container):
        return stack.enter_context(ffmpeg.open_stream(content, container))
    try:
        return stack.enter_context(sndfile.open_stream(content, container))
    except Unusable as error:
        if container not in codecs.DEMUXERS or error.reason == Reason.TRUNCATED:
            raise  # of sizes that are not true, FFmpeg takes memory
        first = error
    try:
        return stack.enter_context(ffmpeg.open_stream(content, container))
    except Unusable as error:
        raise (error if error.reason == Reason.UNSUPPORTED else first) from first


def refused(content: Content, container: str | None) -> Unusable:
    """Why no decoder is asked."""
    expected = "expected audio (wav, flac, mp3, ogg, m4a, webm, amr, wma or another format that FFmpeg decodes)"
    if not len(content):
        return Unusable(Reason.EMPTY, f"{expected}; found 0 bytes")
    if container is None:
        return Unusable(Reason.NOT_AUDIO, f"{expected}; found bytes that begin {content[:8].hex(' ')}")
    return Unusable(Reason.UNSUPPORTED, f"{expected}; found {container}: convert it", container)


def one_line(error: Exception) -> str:
    """A foreign error in a message of ours."""
    return " ".join(f"{type(error).__name__}: {error}".split())
