"""Layout of containers that keep their samples in one chunk: RIFF, RIFX, RF64, W64, FORM (AIFF) and CAF.

Recorders that were interrupted, and programs that write to a pipe, leave sizes of 0, of -1 or of what was there when
they last looked; others forget the byte that pads an odd chunk. The samples are found nevertheless, and decoders are
given a header with the sizes put right.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from features.containers.content import Content, unpack
from features.containers.extent import Extent, id3_bytes

UNKNOWN_SIZE = 0x7FFF_F000
"""Programs that write to a pipe put this, or more, in place of a size of 32 bits."""

_FORMS = {b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"caff"}  # files of their own, no chunks
_KNOWN = {b"data", b"fmt ", b"fact", b"LIST", b"bext", b"id3 ", b"ID3 ", b"JUNK", b"junk", b"PAD ", b"cue ", b"SSND"}
_KNOWN |= {b"COMM", b"MARK", b"INST", b"iXML", b"PEAK", b"_PMX", b"smpl", b"inst", b"plst", b"cart", b"wavl", b"umid"}
_MAX_KEPT_BYTES = 1 << 20  # of a chunk before the samples, in a header that is put right
_FRAMEWISE = {1, 2, 3, 6, 7, 0x11, 0x31, 0xFFFE}  # codecs of wav whose blocks are of one size


@dataclass(frozen=True)
class _Form:
    """Spelling of chunks."""

    first: int  # offset of the first chunk
    size: str  # struct's format of a size
    samples: bytes  # name of the chunk with the samples
    name_bytes: int = 4
    align: int = 2
    own: int = 0  # bytes of its header that a size counts
    skip: int = 0  # bytes of the samples' chunk before the first sample
    whole: tuple[int, int] | None = (4, 8)  # where the size of everything stands, and what it does not count

    @property
    def n_header(self) -> int:
        return self.name_bytes + struct.calcsize(self.size)


_FORM_OF = {
    "RIFF": _Form(12, "<I", b"data"),
    "RIFX": _Form(12, ">I", b"data"),
    "aiff": _Form(12, ">I", b"SSND", skip=8),
    "w64": _Form(40, "<Q", b"data", name_bytes=16, align=8, own=24, whole=(16, 0)),
    "caf": _Form(8, ">q", b"data", align=1, skip=4, whole=None),
}


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    at: int
    body: int
    size: int  # as it states it
    end: int  # with its padding, if it has any
    is_padded: bool = True


def measure(data: Content, container: str) -> Extent:
    """Return the extent of a file of chunks. Raises struct.error where not even the first chunk is there."""
    key = {"wav": "RIFF", "rf64": "RIFF"}.get(container, container)
    form = _FORM_OF["RIFX" if data[:4] == b"RIFX" else key]
    before: list[_Chunk] = []
    for chunk in _chunks(data, form):
        if chunk.name == form.samples:
            return _measure_samples(data, form, before, chunk)
        before.append(chunk)
    last = before[-1].end if before else form.first + form.n_header
    if last > len(data) + 1:  # the byte that pads the last may be lacking
        return Extent(len(data), f"the header promises {last} bytes, found {len(data)}", last - len(data))
    return Extent(len(data))


def _measure_samples(data: Content, form: _Form, before: list[_Chunk], chunk: _Chunk) -> Extent:
    start = chunk.body + form.skip
    n_left = max(0, len(data) - start)
    stated, whole = _stated_size(data, form, before, chunk, n_left), _whole_end(data, form, before)
    size, trailing = _true_size(data, form, start, stated, whole), list[_Chunk]()
    n_bytes, missing = min(size, n_left), None
    end = start + n_bytes
    if n_bytes == stated:
        others = _trailing(data, form, end)
        trailing = list(takewhile(lambda other: other.name != form.samples, others))  # more samples are a tail
        end = max([end, *(other.end for other in trailing)])
    else:
        end -= n_bytes % (_block_bytes(data, before) or 1)
    if size > n_left:
        missing = f"the header promises {start + size} bytes, found {len(data)}"
    found = Extent(min(end, len(data)), missing, size - (end - start) if missing else 0)
    links = [form.first, *(other.end for other in before)]
    is_chain = links == [*(other.at for other in before), chunk.at] and all(other.is_padded for other in before)
    if not before or (n_bytes == stated and is_chain):
        return found
    n_samples = n_bytes if n_bytes == stated else end - start
    return replace(found, start=start, prefix=_prefix(data, form, before, chunk, n_samples, end - start))


def _true_size(data: Content, form: _Form, start: int, stated: int | None, whole: int) -> int:
    """Return the bytes of samples: as stated, unless what lies behind them is neither the end nor another chunk."""
    n_left, to_whole = len(data) - start, whole - start if whole > start else 0
    n_rest = to_whole if 0 < to_whole <= n_left else n_left
    if stated is None:
        return n_rest
    if stated >= n_left or next(_trailing(data, form, start + stated), None):
        return stated
    if stated == 0:
        return n_rest
    if to_whole > stated + form.n_header <= n_left:
        return to_whole  # of the two sizes, this one was kept up to date
    return stated + (n_left - stated >> 32 << 32)  # sizes of 32 bits begin anew at 4 GiB


def _chunks(data: Content, form: _Form) -> Iterator[_Chunk]:
    """Yield the chunks up to that of the samples, which is looked for where the chain of sizes is lost."""
    at = form.first
    while at + form.n_header <= len(data):
        if data[at : at + 3] == b"ID3" and data[at + 3] < 0x20:  # a tag between chunks, as in an mp3
            at += id3_bytes(data[at : at + 10])
            continue
        chunk = _read(data, form, at)
        if chunk.name == form.samples:
            yield chunk
            return
        if not _is_name(chunk.name) or chunk.end > len(data) + 1:
            found = data.find(form.samples, at + 1)
            if found < 0 or found + form.n_header > len(data):
                yield chunk
                return
            at = found
            continue
        yield chunk
        at = chunk.end


def _trailing(data: Content, form: _Form, at: int) -> Iterator[_Chunk]:
    """Yield the chunks behind the samples that end at `at`, as far as they go on."""
    at += 0 if data[at : at + 4] in _KNOWN else -(at - form.first) % form.align
    while at + form.n_header <= len(data):
        chunk = _read(data, form, at)
        fits = chunk.end <= len(data) + 1 or chunk.name in _KNOWN  # else the last of them is cut
        if not fits or chunk.size < 0 or not _is_name(chunk.name):
            return
        yield chunk
        at = chunk.end


def _read(data: Content, form: _Form, at: int) -> _Chunk:
    name: bytes = data[at : at + 4]
    size: int = unpack(form.size, data, at + form.name_bytes)[0] - form.own
    body = at + form.n_header
    end = body + max(0, size)
    n_pad = -(end - form.first) % form.align
    if form.align == 2 and n_pad and data[end : end + 4] in _KNOWN:
        return _Chunk(name, at, body, size, end, is_padded=False)
    return _Chunk(name, at, body, size, end + n_pad)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and name not in _FORMS and all(0x20 <= byte < 0x7F for byte in name)


def _stated_size(data: Content, form: _Form, before: list[_Chunk], chunk: _Chunk, n_left: int) -> int | None:
    """Return the stated bytes of samples; None where they are left open."""
    size = chunk.size
    if before and before[0].name == b"ds64":  # EBU Tech 3306
        size = unpack("<Q", data, before[0].body + 8)[0] if size >= UNKNOWN_SIZE else size
    is_open = size < 0 or size >= (UNKNOWN_SIZE if form.size[1] == "I" else 1 << 62)
    return None if is_open and not 0 <= size <= n_left + form.skip else max(0, size - form.skip)


def _whole_end(data: Content, form: _Form, before: list[_Chunk]) -> int:
    """Return the end of everything as it is stated; 0 where it is not."""
    if form.whole is None:
        return 0
    if before and before[0].name == b"ds64":
        size: int = unpack("<Q", data, before[0].body)[0]
        return size + 8
    at, n_more = form.whole
    size = unpack(form.size, data, at)[0]
    return 0 if form.size[1] == "I" and size >= UNKNOWN_SIZE else size + n_more


def _block_bytes(data: Content, before: list[_Chunk]) -> int:
    """Return the bytes of a block of samples; 0 where blocks are of no fixed size."""
    for chunk in before:
        if chunk.name == b"fmt " and chunk.size >= 14:
            code, *_, block = unpack("<HHIIH", data, chunk.body)
            return int(block) if code in _FRAMEWISE else 0
        if chunk.name == b"COMM":
            n_channels, _, bits = unpack(">HIH", data, chunk.body)
            is_plain = chunk.size == 18 or data[chunk.body + 18 : chunk.body + 22] in {b"NONE", b"sowt"}
            return n_channels * -(-bits // 8) if is_plain else 0
        if chunk.name == b"desc":
            return int(unpack(">I", data, chunk.body + 16)[0])
    return 0


def _prefix(data: Content, form: _Form, before: list[_Chunk], chunk: _Chunk, n_samples: int, n_rest: int) -> bytes:
    """Return everything before the samples with the sizes of all, of the samples and of the frames put right."""
    head = bytearray(data[: form.first])
    for other in before:
        if other.size > _MAX_KEPT_BYTES:
            continue
        body = bytearray(data[other.at : other.body + other.size])
        if other.name == b"COMM" and _block_bytes(data, [other]):
            struct.pack_into(">I", body, form.n_header + 2, n_samples // _block_bytes(data, [other]))
        head += body + bytes(-(len(head) + len(body) - form.first) % form.align)
    is_wide, most = bool(before) and before[0].name == b"ds64", 0xFFFF_FFFF if form.size[1] == "I" else 1 << 62
    head += data[chunk.at : chunk.at + form.name_bytes]
    head += struct.pack(form.size, most if is_wide else min(n_samples + form.skip + form.own, most))
    head += data[chunk.body : chunk.body + form.skip]
    if is_wide:
        struct.pack_into("<QQ", head, form.first + form.n_header, len(head) + n_rest - 8, n_samples)
    elif form.whole:
        at, n_less = form.whole
        struct.pack_into(form.size, head, at, min(len(head) + n_rest - n_less, most))
    return bytes(head)
