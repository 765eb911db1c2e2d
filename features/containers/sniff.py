"""Detection of a file's container from its bytes, without its name."""

from features.containers import allowed, framed
from features.containers.content import Content, skip
from features.containers.extent import id3_bytes

_SIGNATURES: tuple[tuple[str, dict[int, bytes]], ...] = (
    ("wav", {0: b"RIFF", 8: b"WAVE"}),
    ("wav", {0: b"RIFX", 8: b"WAVE"}),
    ("rf64", {0: b"RF64", 8: b"WAVE"}),
    ("w64", {0: b"riff\x2e\x91\xcf\x11"}),
    ("aiff", {0: b"FORM", 8: b"AIF"}),
    ("au", {0: b".snd"}),
    ("caf", {0: b"caff"}),
    ("flac", {0: b"fLaC"}),
    ("ogg", {0: b"OggS"}),
    ("nist", {0: b"NIST_1A\n"}),
    ("voc", {0: b"Creative Voice File\x1a"}),
    ("mp4", {4: b"ftyp"}),
    ("quicktime", {4: b"moov"}),
    ("quicktime", {4: b"mdat"}),
    ("quicktime", {4: b"wide"}),
    ("amr", {0: b"#!AMR\n"}),
    ("amr", {0: b"#!AMR-WB\n"}),
    ("matroska", {0: b"\x1a\x45\xdf\xa3"}),
    ("asf", {0: b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"}),
    ("avi", {0: b"RIFF", 8: b"AVI "}),
    ("ape", {0: b"MAC "}),
    ("wavpack", {0: b"wvpk"}),
    ("tta", {0: b"TTA1"}),
    ("dsf", {0: b"DSD "}),
    ("musepack", {0: b"MPCK"}),
    ("musepack7", {0: b"MP+"}),
    ("realmedia", {0: b".RMF"}),
    ("realmedia", {0: b".ra\xfd"}),
    ("flv", {0: b"FLV\x01"}),
    ("qcp", {0: b"RIFF", 8: b"QLCM"}),
    ("dss", {0: b"\x02dss"}),
    ("dss", {0: b"\x03dss"}),
    ("shorten", {0: b"ajkg"}),
    ("tak", {0: b"tBaK"}),
    ("adif", {0: b"ADIF"}),
    ("midi", {0: b"MThd"}),
)
_LEADING = b"\0 \t\r\n"  # before a file that was uploaded as text, or written over a hole
_LIBSNDFILE = ("wav", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "mp3", "nist", "voc")
READABLE = (*_LIBSNDFILE, *sorted(allowed.DEMUXERS.keys() - set(_LIBSNDFILE)))
"""Containers that are decoded; `sniff` names others, so that they are rejected by their name."""

_TS_PACKETS = (
    (188, 0),
    (192, 4),
    (204, 0),
)  # MPEG-TS, as on discs, with Reed-Solomon bytes: packet size, offset of the sync byte


def is_libsndfile_container(container: str) -> bool:
    """Tell whether libsndfile is tried first."""
    return container in _LIBSNDFILE


def sniff(data: Content) -> str | None:
    """Return the container's name, in `READABLE` or not; None where the bytes begin like no known audio file.

    >>> sniff(b"fLaC"), sniff(b"Dear Sir or Madam")
    ('flac', None)
    """
    return locate(data)[0]


def locate(data: Content) -> tuple[str | None, int]:
    """Return the container's name, and the offset of a file that stands behind tags, zeros or newlines.

    A stream of frames is read with all that stands before it: see `audio_start`.
    """
    start = after_tags(data)
    for at in dict.fromkeys((start, skip(data, start, _LEADING))):
        if name := _signature(data, at):
            return name, at
    if _is_transport_stream(data):
        return "mpegts", 0
    first = skip(data, start, _LEADING)
    kind = framed.frame_kind(data, start)
    found = None if kind else framed.first_frame(data, start) or framed.first_frame(data, first)
    return kind or (found[0] if found else "mp3" if start else None), 0


def audio_start(data: Content) -> int:
    """Return the offset of the first frame of a framed stream, behind tags and the remains of a cut."""
    start = after_tags(data)
    if framed.frame_kind(data, start):
        return start
    first = framed.first_frame(data, start) or framed.first_frame(data, skip(data, start, _LEADING))
    return first[1] if first else start


def _signature(data: Content, at: int) -> str | None:
    head = data[at : at + 32]
    for name, magic in _SIGNATURES:
        if all(head[place : place + len(word)] == word for place, word in magic.items()):
            return name
    return "mpeg" if head[:4] == b"\0\0\1\xba" else None


def _is_transport_stream(data: Content) -> bool:
    """ISO/IEC 13818-1, 2.4.3.2: a sync byte every packet."""
    window = data[: 12 * max(size for size, _ in _TS_PACKETS)]
    return any(
        len(window) >= first + 4 * size and set(window[first::size]) == {0x47}
        for size, sync in _TS_PACKETS
        for first in range(sync, size)
    )


def after_tags(data: Content, start: int = 0) -> int:
    """Return the offset behind ID3v2 tags at `start` and the zeros that some taggers leave behind them."""
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        start += id3_bytes(data[start : start + 10])
        start = skip(data, start, b"\0")
    return start
