"""Checks of a recording: of its header, of each block, and at its end.

Each raises `Unusable`, which `features.decode.recording` turns into a reject.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_contracts.rejects import Reason
from features.decode import channels
from features.decode.config import AudioConfig
from features.decode.stream import Header, Unusable
from features.quality.measures import db

if TYPE_CHECKING:
    from features.quality.meter import Meter

_RATES_HZ = (4_000, 768_000)
_MAX_SAMPLES_PER_SECOND = 800_000  # of all analysed channels together: each is buffered for half a minute
_MAX_AMPLITUDE = 16.0  # floats may pass full scale; samples far beyond are integers in disguise, or rubbish


@dataclass(frozen=True)
class Shortfall:
    """What a recording lacks of its promised length: seconds, estimated, and the missing part in words."""

    seconds: float = 0.0
    words: str | None = None


def require_supported(header: Header, config: AudioConfig) -> list[int]:
    """Return the channels to analyse. Raises Unusable for a rate, a gap or channels that are not supported."""
    if not _RATES_HZ[0] <= header.sample_rate_hz <= _RATES_HZ[1]:
        found = header.sample_rate_hz
        raise Unusable(Reason.UNSUPPORTED, f"expected {_RATES_HZ[0]} to {_RATES_HZ[1]} Hz, found {found} Hz")
    if header.gap and config.least_share >= 1:
        raise Unusable(Reason.TRUNCATED, header.gap)
    require_length(header.n_promised or 0, header.sample_rate_hz, config)
    numbers = channels.select(config.channels, header.n_channels)
    if isinstance(numbers, str):
        raise Unusable(Reason.UNSUPPORTED, numbers)
    if len(numbers) * header.sample_rate_hz > _MAX_SAMPLES_PER_SECOND:
        held = f"found {len(numbers)} channels at {header.sample_rate_hz} Hz"
        raise Unusable(
            Reason.UNSUPPORTED,
            f"expected at most {_MAX_SAMPLES_PER_SECOND} samples a second to analyse channel by channel, {held}",
        )
    return numbers


def require_length(n_frames: int, rate_hz: int, config: AudioConfig) -> None:
    """Raise Unusable for a recording that is, or states that it is, too long."""
    if n_frames > config.max_s * rate_hz:
        found = f"expected {config.max_s:g} s or less, found {n_frames / rate_hz:.0f} s"
        raise Unusable(Reason.TOO_LONG, found, n_frames=n_frames)


def require_valid_samples(samples: np.ndarray) -> None:
    """Raise Unusable for NaN, infinite or huge samples in a block, (frames, channels) of one frame at least."""
    peak = max(float(samples.max()), -float(samples.min()))  # NaN where there is one
    if not np.isfinite(peak):
        raise Unusable(Reason.NON_FINITE, "expected finite samples, found NaN or infinity")
    if peak > _MAX_AMPLITUDE:
        raise Unusable(Reason.UNSUPPORTED, f"expected samples within -1 to 1, found a peak of {peak:g}")


def require_usable(meter: "Meter", header: Header, cut: Unusable | None, config: AudioConfig) -> Shortfall:
    """Return what a kept recording lacks; `cut` ended its samples. Raises Unusable for a hole, short or silent ones."""
    n_frames, seconds = meter.n_frames, meter.n_frames / header.sample_rate_hz
    lacks = find_shortfall(header, n_frames, cut)
    if not n_frames:
        reason = Reason.TRUNCATED if lacks.words else Reason.EMPTY
        raise Unusable(reason, lacks.words or "expected samples, found a header alone", n_frames=0)
    share = seconds / (seconds + lacks.seconds)
    if lacks.words and share < config.least_share:
        found = "found less" if config.least_share >= 1 else f"found {share:.1%}"
        error = f"{lacks.words}; expected {config.least_share:.0%} of its length or more, {found}"
        raise Unusable(Reason.TRUNCATED, error, n_frames=n_frames)
    if seconds < config.min_s:
        error = f"expected {config.min_s:g} s or more, found {seconds:.3f} s"
        raise Unusable(Reason.TOO_SHORT, error, n_frames=n_frames)
    if db(meter.analysed_peak) <= config.silence_db:
        what = "the mix" if config.channels == "mix" else f"channels {config.channels}"
        found = f"found {db(meter.analysed_peak):.0f} in {what}"
        raise Unusable(Reason.SILENT, f"expected a peak above {config.silence_db:g} dBFS, {found}", n_frames=n_frames)
    return lacks


def find_shortfall(header: Header, n_frames: int, cut: Unusable | None) -> Shortfall:
    """Return what the header promises beyond the decoded frames, or its bytes beyond the last. Raises Unusable."""
    rate_hz, words = header.sample_rate_hz, cut.error if cut else header.gap
    missing_s = max(0, (header.n_promised or 0) - n_frames) / rate_hz
    if missing_s and not words:
        words = f"the header promises {header.n_promised} frames, decoded {n_frames}"
        if header.container == "ogg":  # all its pages are there, and one of them does not decode
            raise Unusable(Reason.CORRUPT, words, n_frames=n_frames)
    if not words:
        return Shortfall()
    by_bytes_s = header.n_missing_bytes / max(1, header.n_bytes) * n_frames / rate_hz
    return Shortfall(max(missing_s or by_bytes_s, cut.missing_s if cut else 0.0, 1 / rate_hz), words)
