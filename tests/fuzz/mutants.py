"""Mutants of good audio files: cut, with a tail, joined, with a hole, and with one header field changed.

Each says how many seconds of audio its bytes still hold at least. Whatever a decoder returns for it without a flaw must
account for as many.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from helpers import audio_files

SECONDS = 2.0  # of a good file
_JOINED_S = 1.0
_HEADER_BYTES, _TRAILER_BYTES = 512, 768  # in which fields are changed
_PAGE_S = 0.5  # of audio that a cut, or a hole, may take along: it ends a page, a packet or a frame
_WIDTHS = (1, 2, 4, 8)
_ANY_RATE = {"aac", "mp2", "ac3", "eac3", "ogg/flac"}


@dataclass(frozen=True)
class Good:
    """A file without a fault, and others of its format that may be joined to it, each with its seconds."""

    codec: str
    data: bytes
    joined: tuple[tuple[bytes, float], ...]


@dataclass(frozen=True)
class Mutant:
    """A changed file; a changed rate or number of channels changes the seconds of the same samples."""

    change: str  # a key of `CHANGES`
    data: bytes
    held_s: float


CODECS = (*audio_files.KINDS, *audio_files.FAST, "dsf")
"""Formats that are decoded, by the codec that the header names."""


def good_file(codec: str) -> Good:
    """Make a file of a format, and others to join to it."""
    if codec == "dsf":
        data = audio_files.dsf(audio_files.voice(0.3, 44_100)[:, 0])
        return Good(codec, data, ((data, 0.3),))
    if codec in audio_files.FAST:
        rates = (16_000,) if "gsm" in codec else (16_000, 24_000)
        joined = [audio_files.written(audio_files.voice(_JOINED_S, rate), codec, rate) for rate in rates]
        data = audio_files.written(audio_files.voice(SECONDS), codec)
        return Good(codec, data, tuple((other, _JOINED_S) for other in joined))
    kind = audio_files.KINDS[codec]
    kinds = [kind, *([replace(kind, rate=32_000)] if codec in _ANY_RATE else [])]
    joined = [audio_files.encoded(audio_files.voice(_JOINED_S, each.rate, each.n_channels), each) for each in kinds]
    data = audio_files.encoded(audio_files.voice(SECONDS, kind.rate, kind.n_channels), kind)
    return Good(codec, data, tuple((other, _JOINED_S) for other in joined))


def mutant(good: Good, seconds: float, n: int, seed: int) -> Mutant:
    """Return the n-th mutant of a file that decodes to so many seconds; the same for the same numbers."""
    source = random.Random(f"{seed} {good.codec} {n}")
    change = list(CHANGES)[n % len(CHANGES)]
    return replace(CHANGES[change](good, seconds, source), change=change)


def _cut(good: Good, seconds: float, source: random.Random) -> Mutant:
    share = source.choice([source.random(), 1 - source.random() ** 3])
    n_bytes = int(share * len(good.data))
    return Mutant("", good.data[:n_bytes], seconds * n_bytes / len(good.data) - _PAGE_S)


def _tail(good: Good, seconds: float, source: random.Random) -> Mutant:
    n = source.choice([1, 2, 3, 128, 512, 4096, 20_000, source.randrange(1, 9000)])
    tail = source.choice([bytes(n), b"\n" * n, b"\xff" * n, source.randbytes(n), _tag(source), good.data[:n]])
    return Mutant("", good.data + tail, seconds)


def _tag(source: random.Random) -> bytes:
    n = source.randrange(1, 3000)
    size = bytes([n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127])
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + n.to_bytes(4, "little") + bytes(16)
    return source.choice([b"TAG" + b"x" * 125, b"ID3\4\0\0" + size + source.randbytes(n), ape + source.randbytes(n)])


def _join(good: Good, seconds: float, source: random.Random) -> Mutant:
    data, more_s = source.choice(good.joined)
    if source.random() < 0.2:  # a recorder that died: its file was cut, and the next was put behind it
        n_bytes = int(len(good.data) * source.uniform(0.5, 1))
        return Mutant("", good.data[:n_bytes] + data, seconds * n_bytes / len(good.data) - _PAGE_S)
    between = source.choice([b"", b"", bytes(source.randrange(1, 600))])
    return Mutant("", good.data + between + data, seconds + more_s)


def _hole(good: Good, seconds: float, source: random.Random) -> Mutant:
    """Take a stretch out, put it in twice, or overwrite it."""
    size = len(good.data)
    n, at = source.randrange(1, max(2, size // 10)), source.randrange(size)
    n = min(n, size - at)
    filling = source.choice([b"", bytes(n), source.randbytes(n), 2 * good.data[at : at + n]])
    return Mutant("", good.data[:at] + filling + good.data[at + n :], seconds * (1 - n / size) - _PAGE_S)


def _field(good: Good, seconds: float, source: random.Random) -> Mutant:
    """Set one field of the header, or of what stands at the end."""
    width, size = source.choice(_WIDTHS), len(good.data)
    n_header = min(_HEADER_BYTES, size)
    at = source.randrange(n_header) if source.random() < 0.8 else size - source.randrange(1, min(_TRAILER_BYTES, size))
    old = good.data[at : at + width]
    order = source.choice(["little", "big"])
    number = int.from_bytes(old, order)
    most = 256 ** len(old) - 1
    values = [0, 1, most, most >> 1, (most >> 1) + 1, number ^ 1 << source.randrange(8 * len(old))]
    values += [number + 1, number - 1, number * 2, number // 2, source.randrange(most + 1)]
    new = (source.choice(values) & most).to_bytes(len(old), order)
    return Mutant("", good.data[:at] + new + good.data[at + len(old) :], seconds - _PAGE_S)


CHANGES: dict[str, Callable[[Good, float, random.Random], Mutant]] = {
    "cut": _cut,
    "field": _field,
    "tail": _tail,
    "hole": _hole,
    "join": _join,
}
"""Makers by the word for what they do to a file."""
