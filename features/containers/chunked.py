"""Completeness of chunked containers: chains of units (boxes, elements, chunks) that state their sizes.

Each function takes the file's content and returns in words the part that is missing, or None; it reads only the units'
headers. Content that is no such chain is left to the decoder.
"""

from collections.abc import Callable

from features.containers.content import Content, unpack

_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)  # RFC 4867, 5.3, by frame type, with the header
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
_EBML_SEGMENT, _EBML_CLUSTER = 0x18538067, 0x1F43B675
_FLV_TAGS = {8, 9, 18}  # sound, picture, script
_RM_SLACK = 10  # FFmpeg counts the header of the data twice
_MAX_UNITS = 5_000_000  # a day of AMR; a longer file is not checked
_TRAILERS = (b"TAG", b"APETAGEX", b"ID3")  # tags of other formats, put behind the last unit


def mp4(data: Content) -> str | None:
    """Boxes of ISO/IEC 14496-12, 4.2: the last box, and moov, without which no sample can be located."""
    names = set()

    def size(at: int) -> int:
        n_bytes, name = unpack(">I4s", data, at)
        names.add(name)
        if not name.strip(b"\0").isascii():
            return 0
        if n_bytes == 1 and at + 16 <= len(data):
            n_bytes = unpack(">Q", data, at + 8)[0]
        return int(n_bytes) if n_bytes else len(data) - at  # 0 means to the end of the file

    found = _follow_chain(data, 0, 8, size, "box")
    if not found and b"moov" not in names and {b"mdat", b"ftyp"} & names:
        return "expected a moov box, which says where the samples are, found the end of the file"
    return found


def matroska(data: Content) -> str | None:
    """Elements of RFC 8794, also inside segments and clusters of unknown size, as live recorders write them."""

    def size(at: int) -> int:
        name, n_name = ebml_number(data, at, keep_marker=True)
        n_bytes, n_size = ebml_number(data, at + n_name)
        if not n_name or not n_size:
            return 0
        unknown = n_bytes == (1 << 7 * n_size) - 1
        if name in {_EBML_SEGMENT, _EBML_CLUSTER} and (unknown or name == _EBML_SEGMENT):
            beyond = 0 if unknown else at + n_name + n_size + n_bytes - len(data)
            return n_name + n_size if beyond <= 0 else n_name + n_size + n_bytes
        return 0 if unknown else n_name + n_size + n_bytes

    return _follow_chain(data, 0, 2, size, "element")


def asf(data: Content) -> str | None:
    """The file's size as its File Properties object states it (ASF specification, 3.2), unless it was broadcast."""
    at = data[:65_536].find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    if at < 0 or at + 92 > len(data):
        return None
    promised, flags = unpack("<Q", data, at + 40)[0], unpack("<I", data, at + 88)[0]
    return None if flags & 1 or promised <= len(data) else f"the header promises {promised} bytes, found {len(data)}"


def amr(data: Content) -> str | None:
    """Frames of RFC 4867, 5.3."""
    wide = data[:9] == b"#!AMR-WB\n"
    sizes = _AMR_WB_BYTES if wide else _AMR_BYTES
    return _follow_chain(data, 9 if wide else 6, 1, lambda at: sizes[data[at] >> 3 & 15], "frame")


def flv(data: Content) -> str | None:
    """Tags of Adobe's Flash Video specification 10.1, E.4, each followed by its size."""
    start = unpack(">I", data, 5)[0] + 4 if len(data) >= 9 else len(data)

    def size(at: int) -> int:
        word: int = unpack(">I", data, at)[0]
        return 15 + (word & 0xFF_FFFF) if word >> 24 & 0x1F in _FLV_TAGS else 0

    return _follow_chain(data, start, 4, size, "tag")


def wavpack(data: Content) -> str | None:
    """Blocks of the WavPack 4 and 5 file format."""
    return _follow_chain(
        data, 0, 8, lambda at: _has_name(data, at, b"wvpk") and unpack("<I", data, at + 4)[0] + 8, "block"
    )


def realmedia(data: Content) -> str | None:
    """Chunks of RealMedia; the data chunk has size 0 where it was written live."""
    if data[:4] != b".RMF":
        return None
    return _follow_chain(data, 0, 8, lambda at: unpack(">I", data, at + 4)[0], "chunk", _RM_SLACK)


def caf(data: Content) -> str | None:
    """Chunks of Apple's Core Audio Format specification 1.0; the data chunk has size -1 where it was not known."""

    def size(at: int) -> int:
        n_bytes: int = unpack(">q", data, at + 4)[0]
        return n_bytes + 12 if n_bytes >= 0 else 0

    return _follow_chain(data, 8, 12, size, "chunk")


def musepack(data: Content) -> str | None:
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
        return n_bytes if names[-1] != b"SE" else 0

    found = _follow_chain(data, 4, 3, size, "packet")
    return found or (None if names and names[-1] == b"SE" else "expected a packet that ends the stream, found none")


def _follow_chain(
    data: Content, start: int, n_header: int, size: Callable[[int], int], unit: str, slack: int = 0
) -> str | None:
    """Follow units with headers of `n_header` bytes to the last; a size below that of a header ends the chain."""
    at = start
    for _ in range(_MAX_UNITS):
        if at + n_header > len(data):
            break
        n_bytes = size(at)
        if n_bytes < n_header:
            return None
        if at + n_bytes > len(data) + slack:
            if any(data[at : at + len(trailer)] == trailer for trailer in _TRAILERS):
                return None
            return f"the {unit} at byte {at} is {n_bytes} bytes long, found {len(data) - at}"
        at += n_bytes
    if at < len(data) < at + n_header and data[at:].strip(b"\0"):
        return f"the last {unit}'s header is incomplete"
    return None


def _has_name(data: Content, at: int, name: bytes) -> bool:
    return data[at : at + len(name)] == name


def ebml_number(data: Content, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Return a variable-size integer of RFC 8794, 4, and its bytes; 0 bytes where there is none."""
    if at >= len(data) or not data[at]:
        return 0, 0
    n_bytes = 9 - data[at].bit_length()
    number = int.from_bytes(data[at : at + n_bytes], "big")
    return (number if keep_marker else number & (1 << 7 * n_bytes) - 1), n_bytes
