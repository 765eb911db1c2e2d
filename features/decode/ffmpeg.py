"""Decoder by FFmpeg (PyAV), for files that libsndfile does not read. It decodes audio alone and opens no other file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from data_contracts.rejects import Reason
from features.containers import allowed, completeness, damaged_packets, framed, ogg_pages, sniff
from features.containers.content import Content
from features.containers.extent import Extent, describe_tail
from features.decode import ffmpeg_samples, ffmpeg_tracks
from features.decode.clock import CLOCKED, Clock, Timed
from features.decode.conversion import Conversion, n_converted
from features.decode.stream import BLOCK_SAMPLES, Header, Tick, Unusable, no_tick, one_line

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_MAX_CHANNELS = 64
_OPTIONS = {
    "protocol_whitelist": "none",  # and `_refuse_open`: whatever a file refers to stays closed
    "codec_whitelist": ",".join(allowed.DECODERS),  # no video decoder runs, not even to learn a picture's size
    "max_streams": "64",
}
_BROADCAST = {"aac", "loas", "ac3", "eac3", "dts", "mpegts", "mpeg"}  # may begin in the middle of a stream
_MAX_LEADING_FAILURES = 16  # packets of these that may fail before the first that decodes
_LENGTH_SLACK_S = 0.25  # a stated length may count delay and padding, and be rounded


class FfmpegStream:
    """A `Stream` of an open FFmpeg container.

    The encoder's delay is left out as the container states it (edit lists, CodecDelay, pre-skip, LAME's tag); padding
    at the end only where packets state it (Opus, Matroska): an AAC track in mp4 keeps up to a frame of it.
    """

    def __init__(self, container: "InputContainer", content: Content, name: str, extent: Extent) -> None:
        self._stream = ffmpeg_tracks.choose(container, content, name)
        self._name, self._gap, self._tail = name, extent.missing, describe_tail(content, extent)
        self._codec = _codec_name(name, self._stream)
        self._error: Unusable | None = None
        self._late = list[str]()  # of a stream joined in the middle, what comes before its first whole frame
        self._format = 0, 0
        self._n_packets = self._n_decoded = self._n_to_drop = 0
        self._tick: Tick = no_tick
        self._end_s = 0.0  # of what was decoded, by the container's clock
        pages = ogg_pages.inspect(content) if name == "ogg" else ogg_pages.Pages()
        self._damage = [*pages.flaws, *filter(None, [damaged_packets.describe(content, name)])]
        has_clock = name in CLOCKED or not pages.is_steady
        self._clock = Clock(name if has_clock else None, *ffmpeg_tracks.clock_s(container))
        self._frames = self._clock.lay(self._decode(container))
        self._first = next(self._frames, None)
        if self._first is None:
            raise self._error or self._no_samples()
        rate_hz, n_channels = self._format
        is_plain = pages.is_steady and pages.begins_at_zero  # else its length is that of a clock
        seconds = ffmpeg_tracks.promised_s(container, self._stream, name) if is_plain else None
        self._promised_s, self._promised_end_s = seconds, ffmpeg_tracks.promised_end_s(self._stream, name, seconds)
        exact = seconds is not None and name in ffmpeg_tracks.CLOCKLESS
        self.header = Header(
            name,
            self._codec,
            rate_hz,
            n_channels,
            n_promised=max(0, int(((seconds or 0.0) - _LENGTH_SLACK_S) * rate_hz)) if exact else None,
            bit_rate_bps=ffmpeg_tracks.bit_rate_bps(container, self._stream, len(content), seconds),
            gap=extent.missing,
            n_bytes=extent.n_bytes,
            n_missing_bytes=extent.n_missing,
            tags=ffmpeg_tracks.tags(container, self._stream),
        )

    def blocks(self) -> Iterator[np.ndarray]:
        n_block, n_buffered, buffer = max(1, BLOCK_SAMPLES // self.header.n_channels), 0, []
        for samples in self._samples():
            buffer.append(samples)
            n_buffered += len(samples)
            if n_buffered >= n_block:
                whole = np.concatenate(buffer)
                n_full = n_buffered - n_buffered % n_block
                yield from (whole[at : at + n_block] for at in range(0, n_full, n_block))
                n_buffered, buffer = n_buffered - n_full, [whole[n_full:]]
        if n_buffered:
            yield np.concatenate(buffer)
        if self._error and not self._is_whole(0.0):
            self._error.missing_s = self._missing_s()
            raise self._error  # behind the promised end, a damaged tag may stand
        if self._promised_s is not None and not self._is_whole(0.0 if self._gap else _LENGTH_SLACK_S):
            found = f"decoded {self._n_decoded / self.header.sample_rate_hz:.2f} s, to {self._end_s:.2f} s"
            hole = not self._gap and completeness.detects_any_cut(self._name)
            error = f"the header promises {self._promised_s:.2f} s, {found}"
            reason = Reason.CORRUPT if hole else Reason.TRUNCATED
            raise Unusable(reason, error, self._codec, missing_s=self._missing_s())

    @property
    def flaws(self) -> list[str]:
        edited = ffmpeg_tracks.describe_edits(self._stream, self._name, self._n_packets, self._n_decoded)
        others = filter(None, [None if self._error else edited, self._tail])
        return [*self._damage, *self._late, *self._clock.flaws, *others]

    def _is_whole(self, slack_s: float) -> bool:
        """Tell whether the promised end was reached, by count or by clock: a track may begin late, and pause."""
        return self._promised_s is not None and self._missing_s() <= slack_s

    def _missing_s(self) -> float:
        """Return how far the promised end was not reached; 0 where none is promised."""
        if self._promised_s is None or self._promised_end_s is None:
            return 0.0
        by_count_s = self._promised_s - self._n_decoded / self.header.sample_rate_hz
        return max(0.0, min(by_count_s, self._promised_end_s - self._end_s))

    def skip(self, n_frames: int, tick: Tick = no_tick) -> None:
        """Decode and drop frames: AAC, AMR, AC-3 and others carry state from frame to frame."""
        self._n_to_drop += n_frames
        self._tick = tick

    def _samples(self) -> Iterator[np.ndarray]:
        """Yield the samples of each frame, (frames, channels) float32; of another format, at the first's."""
        form, conversion = self._format, None
        convert = ffmpeg_samples.converter(self.header.n_channels)
        timed, self._first = self._first, None
        while timed is not None:
            n_silent, frame = timed
            if _frame_format(frame) != form or (n_silent and conversion):
                if conversion:
                    yield from self._without_dropped(conversion.finish())
                form = _frame_format(frame)
                convert = ffmpeg_samples.converter(form[1])
                conversion = None if form == self._format else Conversion(form[0], *self._format)
            yield from self._silence(n_converted(n_silent, form[0], self._format[0]))
            if not conversion and self._n_to_drop >= frame.samples:
                self._n_to_drop -= frame.samples
                self._tick()
            else:
                try:
                    samples = self._require_finite(convert(frame))
                except _decoder_errors() as error:
                    self._error = self._to_unusable(error)
                    return
                yield from self._without_dropped(conversion.push(samples) if conversion else samples)
            timed = next(self._frames, None)
        if conversion:
            yield from self._without_dropped(conversion.finish())

    def _without_dropped(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        n_drop = min(self._n_to_drop, len(samples))
        self._n_to_drop -= n_drop
        if n_drop:
            self._tick()
        if n_drop < len(samples):
            yield samples[n_drop:]

    def _silence(self, n_frames: int) -> Iterator[np.ndarray]:
        n_drop = min(self._n_to_drop, n_frames)
        self._n_to_drop -= n_drop
        n_channels = self.header.n_channels
        while n_left := n_frames - n_drop:
            n_block = min(n_left, max(1, BLOCK_SAMPLES // n_channels))
            n_drop += n_block
            yield np.zeros((n_block, n_channels), np.float32)

    def _decode(self, container: "InputContainer") -> Iterator[Timed]:
        """Yield frames; end early, with `_error` set, at one that is damaged."""
        n_late = n_late_bytes = 0
        try:
            for packet in container.demux(self._stream):
                try:
                    frames = packet.decode()
                except _decoder_errors():
                    n_late += 1
                    if self._n_decoded or self._name not in _BROADCAST or n_late > _MAX_LEADING_FAILURES:
                        raise
                    n_late_bytes += packet.size
                    self._late = [f"the first {n_late_bytes} bytes of sound do not decode"]
                    continue
                for frame in frames:
                    if not frame.samples:
                        continue
                    self._require_usable(frame)
                    self._n_decoded += n_converted(frame.samples, frame.sample_rate, self._format[0])
                    if frame.time is not None:
                        self._end_s = frame.time + frame.samples / frame.sample_rate
                    yield frame, frame.time
                self._n_packets += packet.size > 0
                if packet.is_corrupt:
                    raise ValueError("a packet is incomplete, or follows a lost one")
        except Unusable as error:
            self._error = error
        except _decoder_errors() as error:
            self._error = self._to_unusable(error)

    def _require_usable(self, frame: "AudioFrame") -> None:
        if frame.is_corrupt:
            raise ValueError("a frame is damaged")
        rate_hz, n_channels = _frame_format(frame)
        if not 0 < n_channels <= _MAX_CHANNELS or rate_hz <= 0:
            error = f"expected 1 to {_MAX_CHANNELS} channels, found {n_channels} at {rate_hz} Hz"
            raise Unusable(Reason.UNSUPPORTED, error, self._codec)
        if not self._n_decoded:
            self._format = rate_hz, n_channels

    def _require_finite(self, samples: np.ndarray) -> np.ndarray:
        """Raise ValueError where a codec decodes to NaN. Floats stored in a file are checked by the reader."""
        if "pcm_f" not in self._codec and not np.isfinite(samples).all():
            raise ValueError("a frame decodes to NaN or infinity")
        return samples

    def _to_unusable(self, error: Exception) -> Unusable:
        return _to_unusable(error, self._codec, self._gap, has_decoded=self._n_decoded > 0)

    def _no_samples(self) -> Unusable:
        if self._gap:
            return Unusable(Reason.TRUNCATED, self._gap, self._codec)
        return Unusable(Reason.EMPTY, "expected samples, found a header alone", self._codec)


@contextmanager
def open_stream(content: Content, container: str) -> Iterator[FfmpegStream]:
    """Open content by the demuxer of `container`, as `sniff` names it, alone. Raises Unusable."""
    import av

    extent = completeness.measure(content, container)
    gap = extent.missing
    if container in framed.KINDS:
        extent = replace(extent, start=sniff.audio_start(content))
    demuxer = allowed.DEMUXERS[container]
    options = {**_OPTIONS, "format_whitelist": demuxer}
    try:
        file = av.open(
            extent.view(content),
            format=demuxer,
            container_options=options,
            metadata_errors="replace",
            io_open=_refuse_open,
        )
    except _decoder_errors() as error:
        raise _to_unusable(error, container, gap) from error
    with file:
        try:
            stream = FfmpegStream(cast("InputContainer", file), content, container, extent)
        except _decoder_errors() as error:
            raise _to_unusable(error, container, gap) from error
        yield stream


class _ExternalReferenceError(OSError):
    """The file refers to another file."""


def _refuse_open(*_: object) -> NoReturn:
    raise _ExternalReferenceError("it refers to another, which is not opened")


def _frame_format(frame: "AudioFrame") -> tuple[int, int]:
    return frame.sample_rate, frame.layout.nb_channels


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)


def _codec_name(name: str, stream: "AudioStream") -> str:
    codec = stream.codec_context.codec.canonical_name
    return name if name == codec else f"{name}/{codec}"


def _decoder_errors() -> tuple[type[Exception], ...]:
    import av

    return (av.FFmpegError, RuntimeError, ValueError, ArithmeticError, LookupError, MemoryError, OSError, EOFError)


def _to_unusable(error: Exception, codec: str, gap: str | None, *, has_decoded: bool = False) -> Unusable:
    import av

    if gap:
        return Unusable(Reason.TRUNCATED, f"{gap} (FFmpeg: {_message(error)})", codec)
    if isinstance(error, _ExternalReferenceError):
        return Unusable(Reason.UNSUPPORTED, f"expected a file that holds its own audio: {error}", codec)
    if not has_decoded and isinstance(error, av.error.LookupError | av.error.PatchWelcomeError | NotImplementedError):
        return Unusable(Reason.UNSUPPORTED, f"expected a {codec} file that FFmpeg reads: {_message(error)}", codec)
    return Unusable(Reason.CORRUPT, f"expected a {codec} file that decodes: {_message(error)}", codec)
