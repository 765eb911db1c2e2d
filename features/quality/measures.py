"""Quality measures of a recording, for those who filter on them."""

from dataclasses import dataclass, field

import numpy as np

_FLOOR = 1e-6  # -120 dBFS


@dataclass(frozen=True)
class Measures:
    """Measures of the file (rate, channels, seconds, peak, clipping, loudness, bandwidth) and the analysed level."""

    codec: str  # 'flac', 'wav/pcm_16', 'mp3', 'ogg/opus', 'mp4/aac'
    sample_rate_hz: int
    n_channels: int
    seconds: float
    peak_db: float  # dBFS, over all channels
    level_db: float  # dBFS, root mean square of the analysed signals
    clipped_share: float  # of all samples, at 99 % of full scale or beyond
    loudness_lufs: float | None = None  # ITU-R BS.1770, integrated, over all channels; None below its absolute gate
    bandwidth_hz: float | None = None  # up to which there is content
    bit_rate_bps: int | None = None
    tags_dropped: tuple[str, ...] = ()  # names of the file's tags; their values are kept nowhere
    channels: tuple[int, ...] = (0,)  # that were analysed; of two channels that carry the same, the first
    gains_db: dict[int, float] = field(default_factory=dict)  # by channel, where loudness is levelled
    mixed: tuple[int, ...] = ()  # the channels of the mix, where it is not that of all
    truncated_s: float = 0.0  # promised and missing, estimated
    flaw: str | None = None  # what is missing, not read or odd in a file that is kept


def db(amplitude: float) -> float:
    """Convert to dB relative to full scale, -120 at least."""
    return 20 * float(np.log10(max(amplitude, _FLOOR)))
