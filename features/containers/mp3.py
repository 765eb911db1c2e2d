"""Preparation of mp3 for libsndfile: the start of its frames, and a length where it states none."""

import re
import struct

from features.containers import framed, sniff
from features.containers.content import Content

_SEARCH_BYTES = 8192  # for frames behind the stated end


def splice(data: Content) -> tuple[int, bytes]:
    """Return the offset of the frames behind the tags, and a frame to put before them.

    The frame promises far more than there can be where a Xing or Info frame is lacking; else it is empty. Without it,
    libsndfile takes the length from the first frame's bit rate and stops there: of a VBR file that gets quieter, half
    was silently lost (test_mp3_without_its_length_is_read_to_the_end).
    """
    start = sniff.audio_start(data)
    first = data[start : start + 4]
    if not lacks_length(data) or len(first) < 4 or first[0] != 0xFF:
        return start, b""
    version, mono = first[1] >> 3 & 3, first[3] >> 6 == 3
    rate_hz = (44_100, 48_000, 32_000, 44_100)[first[2] >> 2 & 3] >> {3: 0, 2: 1}.get(version, 2)
    if version == 3:  # MPEG 1; 2 and 2.5 have half the samples, and less side information
        side_info, n_bytes = (17 if mono else 32), 144 * 128_000 // rate_hz
    else:
        side_info, n_bytes = (9 if mono else 17), 72 * 80_000 // rate_hz
    header = bytes([0xFF, first[1] | 1, 0x90 | first[2] & 0x0C, first[3]])
    frame = header + bytes(side_info) + b"Xing" + struct.pack(">II", 1, 0x00FF_FFFF)
    return start, frame.ljust(n_bytes, b"\0")


def lacks_length(data: Content) -> bool:
    """Tell whether an mp3 states no length that can be believed; a missing end of such a file cannot be noticed."""
    start = sniff.audio_start(data)
    if not re.search(rb"Xing|Info", data[start : start + 64]):
        return True
    end = stated_end(data, start)
    return end is not None and framed.find_chain(data[end : end + _SEARCH_BYTES], 0, "mp3") is not None


def stated_end(data: Content, at: int) -> int | None:
    """Return the offset behind the frames that a Xing frame at `at` counts, by their bytes; None where it does not."""
    head = data[at : at + 128]
    found = re.search(rb"(?:Xing|Info)\0\0\0([\0-\x0f])", head)
    if not found or not found[1][0] & 2:
        return None
    place = found.end() + (4 if found[1][0] & 1 else 0)
    return at + int.from_bytes(head[place : place + 4], "big")
