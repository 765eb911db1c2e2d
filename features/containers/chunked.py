"""Extent of containers that are chains of units (boxes, elements, packets) that state their sizes.

Only the units' headers are read. What follows the last unit is no part of the audio, unless a unit is found in it.
"""

from collections.abc import Callable, Iterable

from features.containers.content import Content, unpack
from features.containers.extent import PADDING, Extent, compare

_EBML_SEGMENT, _EBML_CLUSTER = 0x18538067, 0x1F43B675
_FLV_TAGS = {8, 9, 18}  # sound, picture, script
_RM_CHUNKS = {b".RMF", b"PROP", b"CONT", b"MDPR", b"DATA", b"INDX", b"RMMD"}
_OWN_HEADER = 8  # recorders that count the form's own header in its size are common, and harmless
_RM_SLACK = 10  # FFmpeg counts the header of the data twice
_MAX_UNITS = 5_000_000  # a longer chain is not followed to its end
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"styp", b"sidx", b"uuid", b"meta"}
_TOP_ELEMENTS = {0x1A45DFA3, _EBML_SEGMENT, 0xEC, 0xBF}  # EBML, segment, void, checksum
_ELEMENTS = _TOP_ELEMENTS | {
    *(_EBML_CLUSTER, 0x1C53BB6B, 0x1254C367, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1941A469, 0x1043A770),
    *(0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854),  # of a cluster of unknown size
}
_ELEMENT_HEADS = [name.to_bytes(-(-name.bit_length() // 8), "big") for name in _ELEMENTS]


def mp4(data: Content) -> Extent:
    """Boxes of ISO/IEC 14496-12, 4.2: the last box, and moov, without which no sample can be located."""
    names = set()

    def size(at: int) -> int:
        n_bytes, name = unpack(">I4s", data, at)
        if n_bytes == 1 and at + 16 <= len(data):
            n_bytes = unpack(">Q", data, at + 8)[0]
        n_bytes = n_bytes or len(data) - at  # 0 means to the end of the file
        if name not in _BOXES and not (name.isalnum() and name.isascii() and at + n_bytes <= len(data)):
            return 0
        names.add(name)
        return int(n_bytes)

    found = _follow_chain(data, 0, 8, size, "box", heads=(b"\0",), marks=(b"moov", b"moof", b"mdat"))
    if not found.missing and b"moov" not in names and {b"mdat", b"ftyp"} & names:
        return Extent(len(data), "expected a moov box, which says where the samples are, found the end of the file")
    return found


def matroska(data: Content) -> Extent:
    """Elements of RFC 8794, also inside segments and clusters of unknown size, as live recorders write them."""
    end_of_segment = 0

    def size(at: int) -> int:
        nonlocal end_of_segment
        name, n_name = ebml_number(data, at, keep_marker=True)
        n_bytes, n_size = ebml_number(data, at + n_name)
        if not n_name or not n_size or name not in (_ELEMENTS if at < end_of_segment else _TOP_ELEMENTS):
            return 0
        unknown = n_bytes == (1 << 7 * n_size) - 1
        n_header = n_name + n_size
        if name == _EBML_SEGMENT:
            end_of_segment = len(data) if unknown else at + n_header + n_bytes
            return n_header if end_of_segment <= len(data) else n_header + n_bytes
        if name == _EBML_CLUSTER and unknown:
            return n_header
        return 0 if unknown else n_header + n_bytes

    return _follow_chain(data, 0, 2, size, "element", heads=_ELEMENT_HEADS, marks=(b"\x1f\x43\xb6\x75",))


def asf(data: Content) -> Extent:
    """The file's size as its File Properties object states it (ASF specification, 3.2), unless it was broadcast."""
    at = data[:65_536].find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    if at < 0 or at + 92 > len(data):
        return Extent(len(data))
    promised, flags = unpack("<Q", data, at + 40)[0], unpack("<I", data, at + 88)[0]
    return Extent(len(data)) if flags & 1 or not promised else compare(promised, data)


def avi(data: Content) -> Extent:
    """RIFF forms, one behind the other where it is long (OpenDML); sizes of 0 were never filled in."""

    def size(at: int) -> int:
        n_bytes: int = unpack("<I", data, at + 4)[0]
        return n_bytes + 8 if data[at : at + 4] == b"RIFF" and n_bytes else 0

    found = _follow_chain(data, 0, 12, size, "form", heads=(b"RIFF",))
    return Extent(len(data)) if not found.end or found.n_missing == _OWN_HEADER else found


def flv(data: Content) -> Extent:
    """Tags of Adobe's Flash Video specification 10.1, E.4, each followed by its size."""
    start = unpack(">I", data, 5)[0] + 4 if len(data) >= 9 else len(data)

    def size(at: int) -> int:
        word, stream = unpack(">I", data, at)[0], data[at + 8 : at + 11]
        return 15 + (word & 0xFF_FFFF) if word >> 24 & 0x1F in _FLV_TAGS and not any(stream) else 0

    return _follow_chain(data, start, 4, size, "tag", heads=(bytes([kind]) for kind in _FLV_TAGS))


def wavpack(data: Content) -> Extent:
    """Blocks of the WavPack 4 and 5 file format."""

    def size(at: int) -> int:
        return unpack("<I", data, at + 4)[0] + 8 if data[at : at + 4] == b"wvpk" else 0

    return _follow_chain(data, 0, 8, size, "block", heads=(b"wvpk",), marks=(b"wvpk",))


def realmedia(data: Content) -> Extent:
    """Chunks of RealMedia; the data chunk has size 0 where it was written live."""
    if data[:4] != b".RMF":
        return Extent(len(data))

    def size(at: int) -> int:
        return unpack(">I", data, at + 4)[0] if data[at : at + 4] in _RM_CHUNKS else 0

    return _follow_chain(data, 0, 8, size, "chunk", heads=_RM_CHUNKS, marks=(b"DATA",), slack=_RM_SLACK)


def musepack(data: Content) -> Extent:
    """Packets of Musepack's stream version 8, up to the packet that ends the stream."""
    names = []

    def size(at: int) -> int:
        names.append(data[at : at + 2])
        n_bytes = n_size = 0
        while n_size < 9 and at + 2 + n_size < len(data):
            byte = data[at + 2 + n_size]
            n_bytes, n_size = n_bytes << 7 | byte & 0x7F, n_size + 1
            if not byte & 0x80:
                break
        return n_bytes if b"SE" not in names[:-1] else 0

    found = _follow_chain(data, 4, 3, size, "packet", heads=())
    if found.missing or b"SE" in names:
        return found
    return Extent(found.end, "expected a packet that ends the stream, found none")


def _follow_chain(
    data: Content,
    start: int,
    n_header: int,
    size: Callable[[int], int],
    unit: str,
    *,
    heads: Iterable[bytes],
    marks: tuple[bytes, ...] = (),
    slack: int = 0,
) -> Extent:
    """Follow units with headers of `n_header` bytes to the last; a size below that of a header ends the chain.

    Units begin with one of the `heads`: other bytes at the end are none that is cut. Where one of the `marks` of a unit
    is found behind the chain's end, it is damaged: all of it is left to the decoder.
    """
    at = start
    for _ in range(_MAX_UNITS):
        if at + n_header > len(data):
            break
        n_bytes = size(at)
        if n_bytes < n_header:
            return Extent(len(data) if any(data.find(mark, at) >= 0 for mark in marks) else at)
        if at + n_bytes > len(data) + slack:
            n_found = len(data) - at
            error = f"the {unit} at byte {at} is {n_bytes} bytes long, found {n_found}"
            return Extent(len(data), error, n_bytes - n_found)
        at += n_bytes
    else:
        return Extent(len(data))
    rest = data[at:]
    if rest.strip(PADDING) and any(rest.startswith(head) or head.startswith(rest) for head in heads):
        return Extent(len(data), f"the last {unit}'s header is incomplete", at + n_header - len(data))
    return Extent(min(at, len(data)))


def ebml_number(data: Content, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Return a variable-size integer of RFC 8794, 4, and its bytes; 0 bytes where there is none."""
    if at >= len(data) or not data[at]:
        return 0, 0
    n_bytes = 9 - data[at].bit_length()
    number = int.from_bytes(data[at : at + n_bytes], "big")
    return (number if keep_marker else number & (1 << 7 * n_bytes) - 1), n_bytes
