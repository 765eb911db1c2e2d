"""First pass over a recording, where its preparation depends on all of it: the mixed channels, and gains.

What it finds is kept with the recording's measures, so that a stretch that is decoded alone is prepared in the same
way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_contracts.rejects import Reason
from features.containers.content import Content
from features.decode import channels, checks
from features.decode.config import AudioConfig
from features.decode.open import open_stream
from features.decode.stream import Header, Stream, Unusable

_MAX_GAIN_DB = 40.0


@dataclass(frozen=True)
class FirstPass:
    """Findings of the first pass over a recording."""

    gains_db: Mapping[int, float]  # by analysed channel, where loudness is levelled
    mixed: tuple[int, ...]  # channels of the mix; empty: all
    flaw: str | None  # what is wrong with the channels, in words


def run(
    content: Content,
    header: Header,
    config: AudioConfig,
    gains_db: Mapping[int, float] | None,
    mixed: Sequence[int] | None,
    tick: Callable[[], None],
) -> FirstPass:
    """Return what is known, and find what is None and needed. Raises Unusable."""
    flaw = None
    if mixed is None and config.channels == "mix" and header.n_channels > 1:
        mixed, flaw = _choose_mixed(content, config, tick)
    if gains_db is None and config.level_lufs is not None:
        gains_db = _measure_gains(content, config, mixed or (), tick)
    return FirstPass(gains_db or {}, tuple(mixed or ()), flaw)


def _choose_mixed(
    content: Content, config: AudioConfig, tick: Callable[[], None]
) -> tuple[tuple[int, ...], str | None]:
    from features.quality.mixing import MixSurvey

    with open_stream(content) as stream:
        checks.require_supported(stream.header, config)
        survey = MixSurvey(stream.header.sample_rate_hz, stream.header.n_channels)
        for block in _blocks(stream, config, tick):
            survey.add(block)
            if survey.is_settled:
                break
    return survey.mixed()


def _measure_gains(
    content: Content, config: AudioConfig, mixed: Sequence[int], tick: Callable[[], None]
) -> dict[int, float]:
    """Return the gain (dB) of each analysed channel that brings its loudness to the configuration's."""
    from features.quality.loudness import LoudnessMeter

    with open_stream(content) as stream:
        numbers = checks.require_supported(stream.header, config)
        meters = [LoudnessMeter(stream.header.sample_rate_hz, 1) for _ in numbers]
        for block in _blocks(stream, config, tick):
            signals = channels.signals(block, config.channels, numbers, mixed)
            for meter, signal in zip(meters, signals, strict=True):
                meter.add(signal[:, None])
    loudness = [meter.integrated_lufs() for meter in meters]
    target = config.level_lufs or 0.0
    return {
        number: float(np.clip(target - lufs, -_MAX_GAIN_DB, _MAX_GAIN_DB))
        for number, lufs in zip(numbers, loudness, strict=True)
        if lufs is not None
    }


def _blocks(stream: Stream, config: AudioConfig, tick: Callable[[], None]) -> Iterator[np.ndarray]:
    """Yield checked blocks up to where a file is truncated, which the second pass judges."""
    n_frames = 0
    try:
        for block in stream.blocks():
            checks.require_valid_samples(block)
            n_frames += len(block)
            checks.require_length(n_frames, stream.header.sample_rate_hz, config)
            yield block
            tick()
    except Unusable as error:
        if error.reason != Reason.TRUNCATED:
            raise
