"""Decoding of a file's bytes to windows of each analysed channel at 16 kHz, and measures of the file.

`decode(data)` calls `decode_windows(content)`. A file that cannot be used is a `Reject` with its reason, never an
exception: this module is the one place where `Unusable` becomes a `Reject`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data_contracts.rejects import Reason, Reject
from features.containers.content import Content
from features.decode import channels, checks, first_pass
from features.decode.config import AudioConfig
from features.decode.first_pass import FirstPass
from features.decode.open import open_stream
from features.decode.stream import Header, Stream, Unusable
from features.decode.windows import WINDOW_S, Window, Windower, concatenate, first_frame
from features.quality.measures import Measures, db

if TYPE_CHECKING:
    from features.quality.meter import Meter

WHOLE_RECORDING = (0, 1 << 40)


@dataclass(frozen=True)
class Decoded:
    """A usable recording, held in memory."""

    waveforms: dict[int, np.ndarray]  # (time,) float32 at the configuration's rate, by channel
    measures: Measures

    @property
    def waveform(self) -> np.ndarray:
        """(time,) of the first analysed channel, or of the mix."""
        return self.waveforms[self.measures.channels[0]]

    @property
    def seconds(self) -> float:
        return self.measures.seconds


def decode(data: Content, *, config: AudioConfig = AudioConfig()) -> Decoded | Reject:
    """Decode a file's bytes to checked waveforms, all in memory; never raises, whatever the bytes."""
    return gather(decode_windows(data, config=config))


def gather(items: "Iterator[Window | Measures | Reject]") -> Decoded | Reject:
    """Join the windows of a whole recording, from `decode_windows`."""
    found: dict[int, list[Window]] = {}
    for item in items:
        if isinstance(item, Window):
            found.setdefault(item.channel, []).append(item)
        elif isinstance(item, Reject):
            return item
        else:
            return Decoded({channel: concatenate(found[channel]) for channel in item.channels}, item)
    raise AssertionError("unreachable: whole recordings end with their measures or a reject")


def decode_windows(
    content: Content,
    *,
    config: AudioConfig,
    only: tuple[int, int] = WHOLE_RECORDING,
    gains_db: Mapping[int, float] | None = None,
    mixed: Sequence[int] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Window | Measures | Reject]:
    """Yield the windows of each analysed channel in the order of time, and last the Measures; or a Reject.

    `only` selects windows [first, last) of a recording that was decoded before: nothing is measured, and `gains_db` by
    channel and the channels that are `mixed` are those of its first decoding. `tick` is called after each block. Never
    raises, whatever the bytes.
    """
    header: list[Header] = []
    try:
        with open_stream(content) as stream:
            header.append(stream.header)
            found = first_pass.run(content, stream.header, config, gains_db, mixed, tick)
            yield from _decode_stream(stream, config, only, found, tick)
    except Unusable as error:
        known = header[-1:]
        codec = known[0].codec if known else error.codec
        yield _make_reject(known[0] if known else None, error.reason, error.error, error.n_frames, codec)


def _decode_stream(
    stream: Stream, config: AudioConfig, only: tuple[int, int], found: FirstPass, tick: Callable[[], None]
) -> Iterator[Window | Measures]:
    header, whole = stream.header, only == WHOLE_RECORDING
    numbers = checks.require_supported(header, config)
    rate_hz, (first, last) = header.sample_rate_hz, only
    windowers = [
        Windower(number, rate_hz, config, first=first, gain_db=found.gains_db.get(number, 0.0)) for number in numbers
    ]
    meter = _make_meter(header) if whole else None
    stream.skip(first_frame(first, rate_hz), tick)
    cut, end = None, last * WINDOW_S * config.sample_rate
    try:
        for block in stream.blocks():
            signals = channels.signals(block, config.channels, numbers, found.mixed)
            if meter:
                checks.require_valid_samples(block)
                meter.add(block, signals, signals[0] if config.channels == "mix" else channels.mix(block))
                checks.require_length(meter.n_frames, rate_hz, config)
            tick()
            ready = [
                window for windower, signal in zip(windowers, signals, strict=True) for window in windower.push(signal)
            ]
            yield from (window for window in ready if window.start < end)
            if any(window.start >= end for window in ready):
                return
    except Unusable as error:
        if error.reason != Reason.TRUNCATED:
            raise
        cut = error
    lacks = checks.require_usable(meter, header, cut, config) if meter else None
    for windower in windowers:
        yield from (window for window in windower.finish() if window.start < end)
    if meter and lacks:
        flaws = [*filter(None, [found.flaw, lacks.words]), *stream.flaws]
        measures = _to_measures(meter, header, numbers, found, "; ".join(flaws) or None)
        yield replace(measures, truncated_s=lacks.seconds)


def _make_meter(header: Header) -> "Meter":
    from features.quality.meter import Meter  # imports scipy, which mere configuration does not need

    return Meter(header.sample_rate_hz, header.n_channels)


def _to_measures(
    meter: "Meter", header: Header, numbers: Sequence[int], found: FirstPass, flaw: str | None
) -> Measures:
    is_dual_mono = len(numbers) > 1 and meter.is_dual_mono
    return Measures(
        codec=header.codec,
        sample_rate_hz=header.sample_rate_hz,
        n_channels=header.n_channels,
        seconds=meter.n_frames / header.sample_rate_hz,
        peak_db=db(meter.peak),
        level_db=meter.level_db,
        clipped_share=meter.clipped_share,
        loudness_lufs=meter.loudness_lufs,
        bandwidth_hz=meter.bandwidth_hz,
        bit_rate_bps=header.bit_rate_bps,
        tags_dropped=header.tags,
        channels=tuple(numbers[:1] if is_dual_mono else numbers),
        gains_db=dict(found.gains_db),
        mixed=found.mixed,
        flaw=flaw,
    )


def _make_reject(header: Header | None, reason: Reason, error: str, n_frames: int | None, codec: str | None) -> Reject:
    found = Reject(reason, error, codec)
    if header is None:
        return found
    seconds = None if n_frames is None else n_frames / header.sample_rate_hz
    return replace(found, sample_rate_hz=header.sample_rate_hz, n_channels=header.n_channels, seconds=seconds)
