"""Recordings in one file, decoded one after the other as one: a `Stream` of the streams of its parts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from data_contracts.rejects import Reason
from features.containers.content import Content, Part
from features.containers.parts import MAX_PARTS
from features.decode.conversion import Conversion, n_converted
from features.decode.stream import BLOCK_SAMPLES, Header, Stream, Tick, Unusable, no_tick

_Open = Callable[[Content], AbstractContextManager[Stream]]


@dataclass(frozen=True)
class _Part:
    content: Content
    place: str  # in words
    header: Header


class JoinedStream:
    """Parts laid end to end, at the highest rate and the most channels that one of them has.

    A part that does not begin to decode is left out, and `flaws` say so; one that is cut is read as far as it goes.
    Raises Unusable where no part can be read.
    """

    def __init__(self, contents: Sequence[Content], open_part: _Open) -> None:
        self._open, self._n_to_skip, self._tick = open_part, 0, no_tick
        self.flaws, self._parts, errors, cut = list[str](), list[_Part](), list[Unusable](), list[str]()
        n_unopened = 0
        for n, content in enumerate(contents):
            at = content.start if isinstance(content, Part) else 0
            if n == MAX_PARTS:
                self.flaws.append(f"from byte {at} on, {len(content)} bytes were not read: expected {n} parts or fewer")
                break
            place = f"part {n + 1} of {len(contents)}, {len(content)} bytes from byte {at} on"
            try:
                with open_part(content) as stream:
                    self._parts.append(_Part(content, place, stream.header))
            except Unusable as error:
                errors.append(error)
                if error.reason == Reason.TRUNCATED:
                    cut.append(f"{place}: {error.error}")
                    n_unopened += len(content)
                elif error.reason != Reason.EMPTY:
                    self.flaws.append(f"{place}, was not read: {error.error}")
        if not self._parts:
            raise errors[0]
        cut += [f"{part.place}: {part.header.gap}" for part in self._parts if part.header.gap]
        self.header = _join_headers(self._parts, gap="; ".join(cut), n_unopened=n_unopened)

    def blocks(self) -> Iterator[np.ndarray]:
        cut: Unusable | None = None
        for part in self._parts:
            try:
                yield from self._skipped(self._blocks_of(part))
            except Unusable as error:
                words, missing_s = f"{part.place}: {error.error}", error.missing_s
                if error.reason != Reason.TRUNCATED:
                    raise Unusable(error.reason, words, error.codec, n_frames=error.n_frames) from error
                if cut:
                    words, missing_s = f"{cut.error}; {words}", missing_s + cut.missing_s
                cut = Unusable(error.reason, words, error.codec, missing_s=missing_s)
        if cut:
            raise cut

    def skip(self, n_frames: int, tick: Tick = no_tick) -> None:
        """Decode and drop frames: the parts before tell how long they are only at their end."""
        self._n_to_skip, self._tick = n_frames, tick

    def _blocks_of(self, part: _Part) -> Iterator[np.ndarray]:
        rate_hz, n_channels = self.header.sample_rate_hz, self.header.n_channels
        conversion = Conversion(part.header.sample_rate_hz, rate_hz, n_channels)
        n_block = max(1, BLOCK_SAMPLES // n_channels)
        cut: Unusable | None = None
        with self._open(part.content) as stream:
            try:
                for block in stream.blocks():
                    converted = conversion.push(block)
                    yield from (converted[at : at + n_block] for at in range(0, len(converted), n_block))
            except Unusable as error:
                cut = error
            self.flaws += [f"{part.place}: {flaw}" for flaw in stream.flaws]
        rest = conversion.finish()
        if len(rest):
            yield rest
        if cut:
            raise cut

    def _skipped(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            n_drop = min(self._n_to_skip, len(block))
            self._n_to_skip -= n_drop
            if n_drop:
                self._tick()
            if n_drop < len(block):
                yield block[n_drop:]


def _join_headers(parts: Sequence[_Part], *, gap: str, n_unopened: int) -> Header:
    headers = [part.header for part in parts]
    rate_hz = max(header.sample_rate_hz for header in headers)
    promised = [
        None if header.n_promised is None else n_converted(header.n_promised, header.sample_rate_hz, rate_hz)
        for header in headers
    ]
    return replace(
        headers[0],
        sample_rate_hz=rate_hz,
        n_channels=max(header.n_channels for header in headers),
        n_promised=None if None in promised else sum(n for n in promised if n is not None),
        bit_rate_bps=_mean_bit_rate(parts),
        gap=gap or None,
        n_bytes=sum(header.n_bytes for header in headers),
        n_missing_bytes=sum(header.n_missing_bytes for header in headers) + n_unopened,
        tags=tuple(sorted({tag for header in headers for tag in header.tags})),
    )


def _mean_bit_rate(parts: Sequence[_Part]) -> int | None:
    """Return all bits over all time."""
    seconds = [len(part.content) * 8 / part.header.bit_rate_bps for part in parts if part.header.bit_rate_bps]
    if len(seconds) < len(parts):
        return None
    return round(sum(len(part.content) for part in parts) * 8 / sum(seconds))
