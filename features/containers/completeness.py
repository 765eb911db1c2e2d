"""Extent of a file's audio by container: the sizes that it states against the bytes that are there."""

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from features.containers import amr, chunked, flac, framed, ogg, riff, sniff
from features.containers.content import Content, unpack
from features.containers.extent import Extent, compare, skip_tags

_FRAMED = ("aac", "loas", "mp2", "mp3", "ac3", "eac3", "dts")
_TAGGED = ("mp3", "ape", "wavpack", "tta", "musepack")  # decoders read the tags behind them
_TS_PACKETS = (188, 192, 204)


def measure(data: Content, container: str) -> Extent:
    """Return where the audio of a container ends, and what its own sizes promise beyond the last byte.

    A stream of frames (mp3, aac, ac3, amr …) does not state their number: only a last frame that is cut is noticed,
    and of Ogg, whose last page live recorders do not mark, only a page that is. FLAC counts samples, which
    the decoder compares. No size is read of voc, dss, shorten and tak.
    """
    if container not in _CHECKS:
        return Extent(len(data))
    try:
        found = _CHECKS[container](data)
    except (struct.error, IndexError):
        return Extent(len(data), "the header is incomplete")
    return replace(found, end=skip_tags(data, found.end)) if container in _TAGGED else found


def detects_any_cut(container: str) -> bool:
    """Tell whether a cut anywhere in such a file is noticed; samples missing nevertheless are then a hole."""
    return container in _CHECKS and container not in _FRAMED and container != "flac"


def _size_at(form: str, at: int, *, by_header: bool = False) -> Callable[[Content], Extent]:
    """Return the check of a container that states the size of everything, or of all behind its first 8 bytes."""

    def check(data: Content) -> Extent:
        promised = unpack(form, data, at)[0] + (8 if by_header else 0)
        return compare(promised, data) if promised < riff.UNKNOWN_SIZE else Extent(len(data))

    return check


def _au(data: Content) -> Extent:
    """Sun's header; a size that was left open, or never filled in, means to the end of the file."""
    header, size = unpack(">II", data, 4)
    if (size >= riff.UNKNOWN_SIZE and size > len(data) - header) or not size:
        prefix = data[:8] + b"\xff\xff\xff\xff" + data[12:header] if size == 0 else b""
        return Extent(len(data), start=header if prefix else 0, prefix=prefix)
    return compare(header + size, data)


def _nist(data: Content) -> Extent:
    """NIST SPHERE: a text header that counts samples, their bytes and channels; compressed files are not checked."""
    head = data[:4096].decode("latin-1")
    fields = dict(re.findall(r"^(sample_count|sample_n_bytes|channel_count) -i (\d{1,12})$", head, re.MULTILINE))
    size = re.match(r"NIST_1A\n\s*(\d{1,7})\n", head)
    if not size or len(fields) < 3 or "embedded" in head or not int(fields["sample_count"]):
        return Extent(len(data))
    samples = int(fields["sample_count"]) * int(fields["sample_n_bytes"]) * int(fields["channel_count"])
    return compare(int(size[1]) + samples, data)


def _tta(data: Content) -> Extent:
    """True Audio, version 1: a header of 22 bytes, a table of the frames' sizes with its checksum, the frames."""
    rate_hz, n_samples = unpack("<II", data, 10)
    n_frames = -(-n_samples * 245 // (256 * rate_hz)) if rate_hz else 0
    if 22 + 4 * n_frames > len(data):
        return compare(22 + 4 * n_frames, data)
    return compare(26 + 4 * n_frames + sum(unpack(f"<{n_frames}I", data, 22)), data)


def _ape(data: Content) -> Extent:
    """Monkey's Audio from 3.98 on: the sizes of everything, in its first 52 bytes."""
    if unpack("<H", data, 4)[0] < 3980:
        return Extent(len(data))
    descriptor, header, seeks, wav, low, high, end = unpack("<7I", data, 8)
    return compare(descriptor + header + seeks + wav + (high << 32 | low) + end, data)


def _framed(data: Content, kind: str) -> Extent:
    return framed.measure(data, kind, sniff.audio_start(data))


def _transport_stream(data: Content) -> Extent:
    """Packets of ISO/IEC 13818-1, each with its sync byte."""
    for size in _TS_PACKETS:
        first = data[: 2 * size].find(b"G")
        if first < 0 or any(data[first + n * size : first + n * size + 1] not in {b"G", b""} for n in range(1, 6)):
            continue
        n_before, at = (4 if size == 192 else 0), first + (len(data) - first) // size * size
        while at > first and not all(data[place : place + 1] in {b"G", b""} for place in (at - size, at)):
            at -= size
        if at + size <= len(data):
            return Extent(at + size - n_before)
        rest = (len(data) - at + n_before) % size
        error = f"the last packet has {rest} of {size} bytes"
        return Extent(len(data), error, size - rest) if rest else Extent(len(data))
    return Extent(len(data))


_CHECKS: dict[str, Callable[[Content], Extent]] = {
    **{name: partial(riff.measure, container=name) for name in ("wav", "aiff", "rf64", "w64", "caf")},
    "qcp": _size_at("<I", 4, by_header=True),
    "avi": chunked.avi,
    "dsf": _size_at("<Q", 12),
    "au": _au,
    "flac": flac.measure,
    "ogg": ogg.measure,
    "nist": _nist,
    "tta": _tta,
    "ape": _ape,
    "mp4": chunked.mp4,
    "quicktime": chunked.mp4,
    "matroska": chunked.matroska,
    "asf": chunked.asf,
    "amr": amr.measure,
    "flv": chunked.flv,
    "wavpack": chunked.wavpack,
    "realmedia": chunked.realmedia,
    "musepack": chunked.musepack,
    "mpegts": _transport_stream,
    **{kind: partial(_framed, kind=kind) for kind in _FRAMED},
}
