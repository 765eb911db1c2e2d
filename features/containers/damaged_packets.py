"""Data packets with a damaged header, which FFmpeg passes over without a word: of ASF (wma) and RealMedia."""

import struct
from collections import Counter

from features.containers.content import Content, unpack

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_DATA_OBJECT = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_HEAD_BYTES, _DATA_HEADER_BYTES = 1 << 20, 50
_RM_DATA_HEADER_BYTES, _RM_PACKET_HEADER_BYTES = 18, 12


def describe(data: Content, container: str) -> str | None:
    """Return in words which packets are damaged; None where none is, and of other containers."""
    try:
        return {"asf": _asf, "realmedia": _realmedia}[container](data) if container in {"asf", "realmedia"} else None
    except struct.error:
        return None  # the header is cut


def _asf(data: Content) -> str | None:
    """Packets begin alike (ASF specification, 5.2), but for the flags in their fourth byte."""
    head = data[:_HEAD_BYTES]
    properties, first = head.find(_FILE_PROPERTIES), head.find(_DATA_OBJECT) + _DATA_HEADER_BYTES
    if properties < 0 or first < _DATA_HEADER_BYTES:
        return None
    n_stated, size = unpack("<Q", data, properties + 56)[0], unpack("<I", data, properties + 92)[0]
    if size < 8:
        return None
    n_packets = min(n_stated, (len(data) - first) // size)
    beginnings = [data[at : at + 3] + data[at + 4 : at + 5] for at in range(first, first + n_packets * size, size)]
    usual = Counter(beginnings).most_common(1)
    n_damaged = n_packets - (usual[0][1] if usual else 0)
    return f"{n_damaged} of {n_packets} packets are damaged and not read" if n_damaged else None


def _realmedia(data: Content) -> str | None:
    """Packets of version 0 or 1 that follow each other, as many as the data chunk counts; 0 where it was live."""
    start = data[:_HEAD_BYTES].find(b"DATA") if data[:4] == b".RMF" else -1
    if start < 0:
        return None
    n_packets, at = unpack(">I", data, start + 10)[0], start + _RM_DATA_HEADER_BYTES
    for n in range(n_packets):
        if at + _RM_PACKET_HEADER_BYTES > len(data):
            return None  # cut
        version, size = unpack(">HH", data, at)
        if version > 1 or size < _RM_PACKET_HEADER_BYTES:
            return f"packet {n + 1} of {n_packets}, at byte {at}, is damaged: some of those behind it are not read"
        at += size
    return None
