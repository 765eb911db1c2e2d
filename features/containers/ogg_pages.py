"""Pages of an Ogg file (RFC 3533): damaged ones, and granule positions that do not follow from the packets.

Decoders pass over a page whose checksum fails, and take a recording's length from the last granule position: what a
damaged page held, or what lies behind a position that goes back, would be lost without a word.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from features.containers.content import Content

_HEADER_BYTES = 27
_END_OF_STREAM = 4
_NO_PACKET_ENDS = (1 << 64) - 1
_JUMP_S = 0.1  # of a granule position, from where the packets end
_MAX_TRIM_S = 0.25  # that the last page may take off the end
_OPUS_FRAME_MS = (10, 20, 40, 60) * 3 + (10, 20) * 2 + (2.5, 5, 10, 20) * 4  # RFC 6716, 3.1: by TOC configuration
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Pages:
    """Oddities of the pages of an Ogg file and of the granule positions of its first stream."""

    flaws: tuple[str, ...] = ()  # pages that are missing or damaged, and positions that go back, in words
    begins_at_zero: bool = True  # else it was recorded from a stream that had begun before
    is_steady: bool = True  # each granule position is where the packets end


def inspect(data: Content) -> Pages:
    """Return what is odd. A page that is cut at the end is not counted."""
    odd, positions, serial = list[int](), None, b""
    number: int | None = None  # of the page before; None behind a damaged one
    for at, page in _pages(data):
        if page is None:
            odd.append(at)
            number = None
            continue
        if serial and page[14:18] != serial:
            continue
        found = int.from_bytes(page[18:22], "little")
        if not serial:
            serial, positions = page[14:18], _first(page)
        elif positions:
            positions.add(page, is_known=number is not None)
        if number is not None and found > number + 1:
            odd.append(at)
        number = found
    flaws = (f"Ogg pages are damaged or missing: {len(odd)}, from byte {odd[0]} on",) if odd else ()
    if not positions:
        return Pages(flaws)
    if positions.goes_back:
        flaws = (*flaws, "Ogg granule positions go back: a part of the page may be left out there")
    return Pages(flaws, positions.begins_at_zero, positions.is_steady)


@dataclass
class _Positions:
    """Granule positions of a stream, against the samples that its packets hold."""

    rate_hz: int
    most: int  # samples in a packet
    is_opus: bool
    last: int | None = None  # granule position; None before the first
    begins_at_zero: bool = True
    is_steady: bool = True
    goes_back: bool = False
    _most: int = field(default=0)  # samples in the packets since
    _least: int = field(default=0)
    _begun: tuple[int, int] = field(default=(0, 0))  # samples of a packet that ends on a later page

    def add(self, page: bytes, *, is_known: bool) -> None:
        """Add a page; `is_known` is false behind a damaged one, whose packets are not known."""
        granule = int.from_bytes(page[6:14], "little")
        for begins, ends in _packets(page):
            if begins is not None:
                self._begun = self._samples(page[begins : begins + 2])
            if ends:
                self._most, self._least, self._begun = self._most + self._begun[0], self._least + self._begun[1], (0, 0)
        if granule == _NO_PACKET_ENDS:
            return
        if granule:
            if is_known:
                self._compare(granule, is_last=bool(page[5] & _END_OF_STREAM))
            self.last = granule
        self._most = self._least = 0

    def _compare(self, granule: int, *, is_last: bool) -> None:
        slack = _JUMP_S * self.rate_hz
        if self.last is None:
            self.begins_at_zero = granule <= self._most + slack
        else:
            short = self.last + self._least - granule
            self.goes_back |= short > (_MAX_TRIM_S * self.rate_hz if is_last else slack)
            self.is_steady &= not self.goes_back and granule - self.last <= self._most + slack

    def _samples(self, head: bytes) -> tuple[int, int]:
        """Return the most and the least samples of a packet that begins with these two bytes."""
        if not self.is_opus or not head:
            return self.most, 0
        n_frames = (1, 2, 2, head[-1] & 63)[head[0] & 3]
        n = round(48 * n_frames * _OPUS_FRAME_MS[head[0] >> 3])
        return n, n


def _first(page: bytes) -> _Positions | None:
    """Return the positions of a stream that begins with this page; None for codecs whose packets are not known."""
    head = page[_HEADER_BYTES + page[26] :]
    if head[:8] == b"OpusHead":
        return _Positions(48_000, 5760, is_opus=True)
    if head[:7] == b"\1vorbis" and len(head) > 28:
        return _Positions(int.from_bytes(head[12:16], "little"), (1 << (head[28] >> 4)) // 2, is_opus=False)
    if head[:5] == b"\x7fFLAC" and len(head) > 30:
        rate_hz = int.from_bytes(head[27:30], "big") >> 4
        return _Positions(rate_hz, int.from_bytes(head[19:21], "big"), is_opus=False)
    return None


def _pages(data: Content) -> Iterator[tuple[int, bytes | None]]:
    """Yield the offset and bytes of each page; None for the bytes of a stretch that is no whole page."""
    at = 0
    while at < len(data):
        head = data[at : at + _HEADER_BYTES + 255]
        is_whole, size = False, 0
        if head[:5] == b"OggS\0" and len(head) >= _HEADER_BYTES:
            n_segments = head[26]
            size = _HEADER_BYTES + n_segments + sum(head[_HEADER_BYTES : _HEADER_BYTES + n_segments])
            is_whole = at + size <= len(data)
            page = data[at : at + size]
            if is_whole and checksum(page) == int.from_bytes(page[22:26], "little"):
                yield at, page
                at += size
                continue
        following = data.find(b"OggS", at + 1)
        if following < 0 and not is_whole:
            return  # a cut page, or a tail
        yield at, None
        at = following if following >= 0 else at + size


def _packets(page: bytes) -> Iterator[tuple[int | None, bool]]:
    """Yield of each packet on a page where it begins, None where that was on an earlier page, and whether it ends."""
    at: int = _HEADER_BYTES + page[26]
    begins = None if page[5] & 1 else at
    for size in page[_HEADER_BYTES:at] if page[26] else b"":
        at += size
        if size < 255:
            yield begins, True
            begins = at
    if page[26] and page[_HEADER_BYTES + page[26] - 1] == 255:
        yield begins, False


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533, 6, which takes bits from the most significant on: zlib's, of reversed bits."""
    zeroed = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(zeroed.translate(_BITS_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)
