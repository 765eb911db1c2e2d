"""Search for the headers of recordings inside a file."""

import re

from features.containers.content import Content, release_pages

_STEP_BYTES = 1 << 16
_OVERLAP_BYTES = 128  # more than any pattern is long
_RESIDENT_STEPS = 256

_WAVPACK_INITIAL = bytes(byte for byte in range(256) if byte & 8)  # of a multi-channel file, the first block a frame
_PATTERNS = {
    "wav": rb"RIF[FX].{4}WAVE",
    "rf64": rb"RF64.{4}WAVE",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
    "aiff": rb"FORM.{4}AIF[FC]",
    "au": rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]",
    "caf": rb"caff\0\x01\0\0desc",
    "flac": rb"fLaC[\0\x80]\0\0\x22",
    "ogg": rb"OggS\0[\x02\x03\x06\x07]",  # a page that begins a logical stream (RFC 3533, 6)
    "nist": rb"NIST_1A\n",
    "voc": rb"Creative Voice File\x1a",
    "mp4": rb"\0\0\0[\x08-\xff]ftyp[ -~]{4}",
    "amr": rb"#!AMR(?:-WB)?\n",
    "matroska": rb"\x1a\x45\xdf\xa3.{1,60}?\x42\x82.(?:webm|matroska)",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
    "avi": rb"RIFF.{4}AVI LIST",
    "ape": rb"MAC .[\x0e\x0f]\0\0",
    "wavpack": rb"wvpk.{4}.\x04\0\0.{4}\0{4}(?!\0{4}).{5}[" + re.escape(_WAVPACK_INITIAL) + rb"]",
    "tta": rb"TTA1[\x01\x02]\0",
    "dsf": rb"DSD \x1c\0{7}",
    "musepack": rb"MPCKSH",
    "realmedia": rb"\.RMF\0\0\0",
    "flv": rb"FLV\x01[\x01\x04\x05]\0\0\0\x09",
    "qcp": rb"RIFF.{4}QLCM",
}
_COMPILED = {name: re.compile(pattern, re.DOTALL) for name, pattern in _PATTERNS.items()}
_ANY = re.compile(b"|".join(_PATTERNS.values()), re.DOTALL)


def has_header(container: str) -> bool:
    """Tell whether files of this container begin with a header that chance does not make."""
    return container in _COMPILED


def find(data: Content, start: int, container: str | None = None) -> int | None:
    """Return the offset of the first header from `start` on, of one container or of any; None where there is none."""
    pattern = _COMPILED[container] if container else _ANY
    for n, at in enumerate(range(start, len(data), _STEP_BYTES)):
        found = pattern.search(data[at : at + _STEP_BYTES + _OVERLAP_BYTES])
        if found:
            return at + found.start()
        if n % _RESIDENT_STEPS == _RESIDENT_STEPS - 1:
            release_pages(data)
    return None
