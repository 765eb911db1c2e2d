"""Decoder by libsndfile, the fast path, for wav, flac, mp3, ogg and its other formats."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile as sf

from data_contracts.rejects import Reason
from features.containers import completeness, flac, mp3, ogg_pages
from features.containers.content import Content, View, unpack
from features.containers.extent import Extent, describe_tail
from features.decode.stream import BLOCK_SAMPLES, Header, Tick, Unusable, no_tick, one_line

_LENGTH_UNKNOWN = 1 << 60  # libsndfile's way of saying so is a length near 2**63
_EXACT_LENGTHS = {"flac", "mp3", "ogg"}  # the others state only a size in bytes; a wav may hold mp3
_UNSUPPORTED_CODES = {4, 18, 33}  # libsndfile: unsupported encoding, unimplemented format, over 1024 channels
_EXACT_SEEK = {
    "flac",
    "wav",
    "rf64",
    "w64",
    "aiff",
    "au",
    "caf",
}  # with codecs whose frames are independent: see `skip`
_SALVAGE_FRAMES = 512  # at a time, before the break of a cut file
_FRAMEWISE_CODECS = ("pcm", "float", "double", "ulaw", "alaw")
_DECODER_ERRORS = (sf.SoundFileError, RuntimeError, ValueError, OverflowError, MemoryError, OSError)
_TAGS = ("title", "copyright", "software", "artist", "comment", "date", "album", "license", "tracknumber", "genre")


class SndfileStream:
    """A `Stream` of an open libsndfile file."""

    def __init__(
        self, file: "_ForwardOnlyFile", header: Header, content: Content, extent: Extent, pages: ogg_pages.Pages
    ) -> None:
        self.header = header
        self.flaws = [*pages.flaws, *filter(None, [describe_tail(content, extent)])]
        self._file, self._content, self._extent = file, content, extent
        self._n_skipped, self._tick = 0, no_tick

    def blocks(self) -> Iterator[np.ndarray]:
        max_frames, n_read = max(1, BLOCK_SAMPLES // self.header.n_channels), self._n_skipped
        while True:
            try:
                # Salvaged blocks end on a grid of the file's own, wherever reading began.
                n_frames = min(max_frames - n_read % max_frames, self._expected_rest(n_read, max_frames))
                block = self._file.read(n_frames, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                found = self._to_unusable(error, n_read)
                is_salvageable = found.reason == Reason.TRUNCATED or self.header.container == "flac"
                if is_salvageable and max_frames > _SALVAGE_FRAMES:
                    max_frames = _SALVAGE_FRAMES  # the block is lost with the error: read it again in small ones
                    self._reopen(n_read, self._tick)
                    continue
                raise found from error
            except _DECODER_ERRORS as error:
                raise _corrupt_file(error, self.header.container) from error
            if not len(block):
                return
            n_read += len(block)
            yield block

    def _expected_rest(self, n_read: int, max_frames: int) -> int:
        """Count frames to read: the promised rest, then a few, as libsndfile clears its buffer; then `max_frames`."""
        n_left: int = self._file.frames - n_read
        if n_left < 0:
            return max_frames
        return n_left or _SALVAGE_FRAMES

    def skip(self, n_frames: int, tick: Tick = no_tick) -> None:
        if not n_frames:
            return  # even a seek to the current position may fail, in a cut file
        self._n_skipped, self._tick = n_frames, tick
        codec, is_whole = self.header.codec.rpartition("/")[2], self.header.gap is None  # else offsets may be wrong
        if (
            is_whole
            and self.header.container in _EXACT_SEEK
            and (codec == "flac" or codec.startswith(_FRAMEWISE_CODECS))
        ):
            try:
                self._file.seek(n_frames)
            except sf.LibsndfileError:  # of a cut file
                self._reopen(n_frames, tick)
        else:
            self._discard(n_frames, tick)  # mp3 and opus carry state: only decoding leads to the same samples

    def _reopen(self, n_frames: int, tick: Tick) -> None:
        self._file = _ForwardOnlyFile(_view(self._content, self.header.container, self._extent))
        self._discard(n_frames, tick)

    def _discard(self, n_frames: int, tick: Tick) -> None:
        max_frames = max(1, BLOCK_SAMPLES // self.header.n_channels)
        try:
            while n_frames and (n := len(self._file.read(min(n_frames, max_frames), dtype="float32"))):
                n_frames -= n
                tick()
        except sf.LibsndfileError as error:
            raise self._to_unusable(error, self._n_skipped - n_frames) from error

    def _to_unusable(self, error: sf.LibsndfileError, n_read: int) -> Unusable:
        """Translate an error behind `n_read` frames: a FLAC file breaks in its last frame where it is cut."""
        gap, container = self.header.gap, self.header.container
        last = flac.last_frame(self._content) if container == "flac" else None
        if last and n_read > last[0] - _SALVAGE_FRAMES:
            gap = "the last FLAC frame is incomplete"
        return _to_unusable(error, container, gap)


class _ForwardOnlyFile(sf.SoundFile):  # type: ignore[misc]
    """A file read from front to back: soundfile would seek after each block, and reset mp3 and opus decoders."""

    def seekable(self) -> bool:
        return False


@contextmanager
def open_stream(content: Content, container: str) -> Iterator[SndfileStream]:
    """Open content of a `container`, as `sniff` names it. Raises Unusable."""
    extent = completeness.measure(content, container)
    pages = ogg_pages.inspect(content) if container == "ogg" else ogg_pages.Pages()
    if not pages.is_steady:  # libsndfile would leave out what lies behind a position that goes back
        raise Unusable(Reason.CORRUPT, "expected Ogg granule positions that follow from the packets, found jumps")
    try:
        file = _ForwardOnlyFile(_view(content, container, extent))
    except sf.LibsndfileError as error:
        raise _to_unusable(error, container, extent.missing) from error
    except _DECODER_ERRORS as error:
        raise _corrupt_file(error, container) from error
    with file:
        header = Header(
            container,
            _codec(file),
            file.samplerate,
            file.channels,
            n_promised=_promised_frames(file, content, container),
            bit_rate_bps=_bit_rate(file, len(content)),
            gap=extent.missing,
            n_bytes=extent.n_bytes,
            n_missing_bytes=extent.n_missing,
            tags=tuple(sorted(name for name in _TAGS if getattr(file, name, ""))),
        )
        yield SndfileStream(file, header, content, extent, pages)


def _promised_frames(file: sf.SoundFile, content: Content, container: str) -> int | None:
    if container == "caf" and file.subtype.startswith("ALAC"):
        at = content.find(b"pakt")  # libsndfile counts the packets of a damaged table
        return int(unpack(">q", content, at + 20)[0]) if 0 <= at <= len(content) - 28 else None
    known = container in _EXACT_LENGTHS and file.frames < _LENGTH_UNKNOWN
    return file.frames if known and not (container == "mp3" and mp3.lacks_length(content)) else None


def _view(content: Content, container: str, extent: Extent) -> View:
    if container != "mp3":
        return extent.view(content)
    start, prefix = mp3.splice(content)
    return View(content, start=start, end=extent.end, prefix=prefix)


def _bit_rate(file: sf.SoundFile, n_bytes: int) -> int | None:
    """Return the file's bytes over its time: complete files of these formats hold hardly anything but audio."""
    if not 0 < file.frames < _LENGTH_UNKNOWN or file.samplerate <= 0:
        return None
    seconds: float = file.frames / file.samplerate
    return round(8 * n_bytes / seconds)


def _codec(file: sf.SoundFile) -> str:
    container, codec = file.format.lower().replace("wavex", "wav"), file.subtype.lower()
    return container if container in {"flac", "mp3"} else f"{container}/{codec}"


def _to_unusable(error: sf.LibsndfileError, container: str, gap: str | None) -> Unusable:
    message = " ".join(error.error_string.split())
    if gap:
        return Unusable(Reason.TRUNCATED, f"{gap} (libsndfile: {message})", container)
    reason = Reason.UNSUPPORTED if error.code in _UNSUPPORTED_CODES else Reason.CORRUPT
    return Unusable(reason, f"expected a {container} file that decodes: {message}", container)


def _corrupt_file(error: Exception, container: str) -> Unusable:
    return Unusable(Reason.CORRUPT, f"expected a {container} file that decodes: {one_line(error)}", container)
