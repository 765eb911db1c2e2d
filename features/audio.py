"""Bytes in, 16 kHz mono out: decoding through libsndfile, checking, mixing, resampling through soxr.

A file that cannot be used is a `Reject` with its reason, never an exception: this is the one place where the
decoders' errors enter.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile as sf
import soxr

from data_contracts.fingerprint import fingerprint
from data_contracts.reasons import Reason
from features import containers

VERSION = "audio-1"
SAMPLE_RATE = 16_000
_BLOCK_SAMPLES = 1 << 20  # decoded at a time, all channels together: bounds memory
_RATES_HZ = (4_000, 768_000)
_CLIPPED = 0.99
_LOUDEST = 16.0  # floats may pass full scale; samples far beyond are integers in disguise, or rubbish
_LENGTH_UNKNOWN = 1 << 60  # libsndfile's way of saying so is a length near 2**63
_EXACT_LENGTHS = {"flac", "mp3", "ogg"}  # of the others only the size in bytes is exact; a wav may hold mp3
_UNSUPPORTED_CODES = {4, 18, 33}  # libsndfile: unsupported encoding, unimplemented format, over 1024 channels


@dataclass(frozen=True)
class AudioConfig:
    """What is accepted, and what comes out. `silence_db`: a peak (dBFS) at or below which a file counts as silent."""

    sample_rate: int = SAMPLE_RATE
    min_s: float = 0.1
    max_s: float = 6 * 3600.0
    channels: Literal["mix"] = "mix"  # the mean of all channels
    silence_db: float = -80.0

    def fingerprint(self) -> str:
        """This configuration and the code's version in 12 hex digits."""
        return fingerprint(self, VERSION)


@dataclass(frozen=True)
class Decoded:
    """A usable recording. Rate, channels, seconds, peak and clipping are the file's; the level is the waveform's."""

    waveform: np.ndarray  # (time,) float32 at the configuration's rate
    codec: str  # 'flac', 'wav/pcm_16', 'mp3', 'ogg/opus'
    sample_rate_hz: int
    n_channels: int
    seconds: float
    peak_db: float  # dBFS, over all channels
    level_db: float  # dBFS, root mean square of the mix
    clipped_share: float  # of all samples, at 99 % of full scale or beyond


@dataclass(frozen=True)
class Reject:
    """Why a file cannot be used, with what was learnt before that was clear."""

    reason: Reason
    error: str  # one line: what was expected, what was found
    codec: str | None = None
    sample_rate_hz: int | None = None
    n_channels: int | None = None
    seconds: float | None = None


def decode(data: bytes, *, config: AudioConfig = AudioConfig()) -> Decoded | Reject:
    """A file's bytes to a checked waveform; never raises, whatever the bytes.

    Truncation is found in wav, rf64, w64, aiff and au (by their sizes), flac (by its last frame), ogg (by its last
    page) and mp3 with a Xing or Info frame. An mp3 without one does not say how long it was: a part of it is a shorter
    recording.
    """
    container = containers.sniff(data)
    if container not in containers.READ:
        return _refused(data, container)
    gap = containers.missing(data, container)
    readable = containers.with_mp3_length(data) if container == "mp3" else data
    try:
        with _Forward(_Bytes(readable)) as file:
            learnt = _Learnt(_codec(file), file.samplerate, file.channels)
            if gap:
                return learnt.reject(Reason.TRUNCATED, gap)
            known = container in _EXACT_LENGTHS and file.frames < _LENGTH_UNKNOWN
            known = known and not (container == "mp3" and containers.lacks_mp3_length(data))
            return _read(file, learnt, n_promised=file.frames if known else None, config=config)
    except sf.LibsndfileError as error:
        return _translated(error, data, container, gap)
    except (sf.SoundFileError, RuntimeError, ValueError, OverflowError, MemoryError, OSError) as error:
        return Reject(Reason.CORRUPT, f"expected a {container} file that decodes: {_one_line(error)}", codec=container)


@dataclass(frozen=True)
class _Learnt:
    codec: str
    sample_rate_hz: int
    n_channels: int

    def reject(self, reason: Reason, error: str, n_frames: int | None = None) -> Reject:
        seconds = None if n_frames is None else n_frames / self.sample_rate_hz
        return Reject(reason, error, self.codec, self.sample_rate_hz, self.n_channels, seconds)


class _Forward(sf.SoundFile):  # type: ignore[misc]
    """Reads from front to back: soundfile would seek after each block, where mp3 and opus decoders lose their state."""

    def seekable(self) -> bool:
        return False


class _Bytes(io.BytesIO):
    """Stays where it is when a broken header leads before its start: an error could not leave libsndfile's callback."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}[whence]
        return super().seek(base + offset) if base + offset >= 0 else self.tell()


@dataclass
class _Meter:
    """What is measured on the way, block by block."""

    n_frames: int = 0
    n_clipped: int = 0
    peak: float = 0.0
    mix_peak: float = 0.0
    mix_energy: float = 0.0

    def add(self, block: np.ndarray, mix: np.ndarray) -> None:
        size = np.abs(block)
        self.n_frames += len(block)
        self.n_clipped += int((size >= _CLIPPED).sum())
        self.peak = max(self.peak, float(size.max()))
        self.mix_peak = max(self.mix_peak, float(np.abs(mix).max()))
        self.mix_energy += float(np.square(mix, dtype=np.float64).sum())


def _read(file: sf.SoundFile, learnt: _Learnt, *, n_promised: int | None, config: AudioConfig) -> Decoded | Reject:
    rate_hz, meter, pieces = learnt.sample_rate_hz, _Meter(), []
    unusable = _unusable_header(learnt, n_promised or 0, config)
    if unusable:
        return unusable
    resampler = soxr.ResampleStream(rate_hz, config.sample_rate, 1, dtype="float32", quality="HQ")
    for block in _blocks(file):
        unusable = _unusable_block(block, learnt) or _unusable_header(learnt, meter.n_frames + len(block), config)
        if unusable:
            return unusable
        mix = block.mean(axis=1)
        meter.add(block, mix)
        pieces.append(resampler.resample_chunk(mix))
    unusable = _unusable_whole(meter, learnt, n_promised, config)
    if unusable:
        return unusable
    pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    return Decoded(
        waveform=np.concatenate(pieces),
        codec=learnt.codec,
        sample_rate_hz=rate_hz,
        n_channels=learnt.n_channels,
        seconds=meter.n_frames / rate_hz,
        peak_db=_db(meter.peak),
        level_db=_db((meter.mix_energy / meter.n_frames) ** 0.5),
        clipped_share=meter.n_clipped / (meter.n_frames * learnt.n_channels),
    )


def _unusable_header(learnt: _Learnt, n_frames: int, config: AudioConfig) -> Reject | None:
    if not _RATES_HZ[0] <= learnt.sample_rate_hz <= _RATES_HZ[1]:
        found = learnt.sample_rate_hz
        return learnt.reject(Reason.UNSUPPORTED, f"expected {_RATES_HZ[0]} to {_RATES_HZ[1]} Hz, found {found} Hz")
    if n_frames > config.max_s * learnt.sample_rate_hz:
        found_s = n_frames / learnt.sample_rate_hz
        expected = f"expected {config.max_s:g} s or less"
        return learnt.reject(Reason.TOO_LONG, f"{expected}, found {found_s:.0f} s", n_frames)
    return None


def _unusable_block(block: np.ndarray, learnt: _Learnt) -> Reject | None:
    peak = float(np.abs(block).max())
    if not np.isfinite(peak):
        return learnt.reject(Reason.NON_FINITE, "expected finite samples, found NaN or infinity")
    if peak > _LOUDEST:
        return learnt.reject(Reason.UNSUPPORTED, f"expected samples within -1 to 1, found a peak of {peak:g}")
    return None


def _unusable_whole(meter: _Meter, learnt: _Learnt, n_promised: int | None, config: AudioConfig) -> Reject | None:
    n_frames, seconds = meter.n_frames, meter.n_frames / learnt.sample_rate_hz
    if n_promised is not None and n_frames < n_promised:
        # An Ogg file that has its last page and yet too few samples has a hole.
        reason = Reason.CORRUPT if learnt.codec.startswith("ogg") else Reason.TRUNCATED
        return learnt.reject(reason, f"the header promises {n_promised} frames, decoded {n_frames}", n_frames)
    if not n_frames:
        return learnt.reject(Reason.EMPTY, "expected samples, found a header alone", 0)
    if seconds < config.min_s:
        return learnt.reject(Reason.TOO_SHORT, f"expected {config.min_s:g} s or more, found {seconds:.3f} s", n_frames)
    if _db(meter.mix_peak) <= config.silence_db:
        expected, found = f"expected a peak above {config.silence_db:g} dBFS", f"{_db(meter.mix_peak):.0f} in the mix"
        return learnt.reject(Reason.SILENT, f"{expected}, found {found}", n_frames)
    return None


def _blocks(file: sf.SoundFile) -> Iterator[np.ndarray]:
    n_frames = max(1, _BLOCK_SAMPLES // file.channels)
    while len(block := file.read(n_frames, dtype="float32", always_2d=True)):
        yield block


def _translated(error: sf.LibsndfileError, data: bytes, container: str, gap: str | None) -> Reject:
    message = " ".join(error.error_string.split())
    if not gap and container == "flac" and containers.flac_is_cut(data):
        gap = "the last FLAC frame is incomplete"
    if gap:
        return Reject(Reason.TRUNCATED, f"{gap} (libsndfile: {message})", codec=container)
    reason = Reason.UNSUPPORTED if error.code in _UNSUPPORTED_CODES else Reason.CORRUPT
    return Reject(reason, f"expected a {container} file that decodes: {message}", codec=container)


def _refused(data: bytes, container: str | None) -> Reject:
    expected = "expected one of " + ", ".join(containers.READ)
    if not data:
        return Reject(Reason.EMPTY, f"{expected}; found 0 bytes")
    if container is None:
        return Reject(Reason.NOT_AUDIO, f"{expected}; found bytes that begin {data[:8].hex(' ')}")
    return Reject(Reason.UNSUPPORTED, f"{expected}; found {container}: convert it", codec=container)


def _codec(file: sf.SoundFile) -> str:
    container, codec = file.format.lower().replace("wavex", "wav"), file.subtype.lower()
    return container if container in {"flac", "mp3"} else f"{container}/{codec}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _db(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-6)))
