"""Boundaries between recordings in a stream of frames: another rate, mono or stereo, a new Xing frame of an mp3.

Decoders stop there, without a word (mpg123 also where the first Xing frame says) or with an error.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from features.containers import framed, mp3, sniff
from features.containers.content import Content, release_pages, skip
from features.containers.extent import skip_tags

_MAX_GAP_BYTES = {"mp3": 1024}  # of tags and zeros, that its decoder passes over
_STEP_BYTES = 1 << 20
_RESIDENT_STEPS = 16


def next_part(data: Content, kind: str) -> int | None:
    """Return the offset of the first frame of the next recording; None where all frames are one recording's."""
    at = sniff.audio_start(data)
    if kind not in FORMATS or not (size := framed.frame_size(data, at, kind)):
        return None
    stated = _behind_tags(data, mp3.stated_end(data, at) or at) if kind == "mp3" else at
    if stated > at and framed.find_chain(data, stated, kind) == stated:
        return stated  # decoders stop there
    form, at = _format(data, at, kind), at + size  # the first of an mp3 may be a Xing frame
    while True:
        end = _run_end(data, at, kind, form)
        behind_tags = _behind_tags(data, end)
        at = framed.find_chain(data, behind_tags, kind) or 0
        if not at:
            return None
        is_padded = at == behind_tags and at - end > _MAX_GAP_BYTES.get(kind, 0)
        if is_padded or _format(data, at, kind) != form or _has_length(data, at, kind):
            return at
        at += framed.frame_size(data, at, kind)


def _format(data: Content, at: int, kind: str) -> bytes:
    """Return the bits of its header that a frame shares with the others of its recording; none where any may follow."""
    return FORMATS[kind](data[at : at + 8].ljust(8, b"\0"))


def _has_length(data: Content, at: int, kind: str) -> bool:
    return kind == "mp3" and bool(re.search(rb"Xing|Info", data[at : at + 64]))


def _behind_tags(data: Content, at: int) -> int:
    """Return the offset behind tags and the zeros between them."""
    while (behind := skip(data, skip_tags(data, at), b"\0")) != at:
        at = behind
    return at


def _run_end(data: Content, at: int, kind: str, form: bytes) -> int:
    """Return the offset behind the frames of one format that follow each other without a gap."""
    if kind not in {"mp3", "mp2"}:
        while (size := framed.frame_size(data, at, kind)) and _format(data, at, kind) in {form, b""}:
            at += size
        return at
    pattern, n_steps = _mpeg_frames(kind, form), 0
    while (found := pattern.match(data[at : at + _STEP_BYTES])) and found.end():
        at, n_steps = at + found.end(), n_steps + 1
        if not n_steps % _RESIDENT_STEPS:
            release_pages(data)
    return at


@lru_cache(maxsize=32)
def _mpeg_frames(kind: str, form: bytes) -> re.Pattern[bytes]:
    """Compile a pattern of frames at any bit rate, without Xing: of an hour, a walk in Python takes too long."""
    version, rate, is_mono = form
    modes = rb"[\xc0-\xff]" if is_mono else rb"[\0-\xbf]"
    n_side_info = (17 if is_mono else 32) if version & 0x18 == 0x18 else (9 if is_mono else 17)
    sizes = dict[int, bytearray]()
    for byte in range(256):
        if byte & 0x0C == rate and (size := framed.frame_size(bytes([0xFF, version | 1, byte, 0]), 0, kind)):
            sizes.setdefault(size, bytearray()).append(byte)
    rates = b"|".join(
        b"[%b]%b(?!.{%d}(?:Xing|Info)).{%d}" % (re.escape(bytes(found)), modes, n_side_info, size - 4)
        for size, found in sizes.items()
    )
    return re.compile(b"(?:\xff[%b](?:%b))*+" % (re.escape(bytes([version, version | 1])), rates), re.DOTALL)


def _mpeg(head: bytes) -> bytes:
    """Version and layer, rate, whether it is mono."""
    return bytes([head[1] & 0xFE, head[2] & 0x0C, head[3] >> 6 == 3])


def _eac3(head: bytes) -> bytes:
    """Rate and channels of the first stream; the others belong to it (ETSI TS 102 366, E.1.3.1)."""
    mask = 0xFF if head[4] >= 0xC0 else 0xCF
    return b"" if head[2] >> 3 else bytes([head[4] & mask])


FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "mp3": _mpeg,
    "mp2": _mpeg,
    "aac": lambda head: bytes([head[1] & 0x08, head[2] & 0xFD, head[3] & 0xC0]),  # also the object type
    "ac3": lambda head: bytes([head[4] & 0xC0, head[6] & 0xE0]),
    "eac3": _eac3,
    "loas": lambda _: b"",
    "dts": lambda _: b"",
}
"""Bits of a frame's header that tell rate and channels, by kind; LOAS and DTS state them elsewhere."""
