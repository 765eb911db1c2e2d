"""Configuration of decoding: accepted recordings, analysed channels and the preparation of their signals."""

from dataclasses import dataclass
from typing import Literal

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint
from features.decode import channels

VERSION = "audio-3"
SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class AudioConfig:
    """Configuration of decoding: limits of accepted recordings, analysed channels and their preparation.

    The order: channels, `dc`, resampling, `denoise`, `level_lufs` (a gain that brings each analysed signal's integrated
    loudness, ITU-R BS.1770, there). `silence_db`: a peak (dBFS) at or below which a file counts as silent.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    sample_rate: int = SAMPLE_RATE
    min_s: float = 0.1
    max_s: float = 24 * 3600.0
    channels: str = "mix"  # the mean of all; each; left, right, or a number from 0
    silence_db: float = -80.0
    keep_truncated: bool = False  # whatever share of a truncated file decodes
    truncated_share: float = 0.5  # of its promised length that must decode; 1: a truncated file is a reject
    dc: Literal["none", "high_pass"] = "high_pass"  # offset, rumble and the mains' hum go: nothing below 61 Hz is left
    resampler: Literal["HQ", "VHQ", "MQ"] = "HQ"  # soxr's
    denoise: Literal["none", "wiener"] = "none"
    level_lufs: float | None = None

    def __post_init__(self) -> None:
        channels.check_selection(self.channels)
        if not 0 <= self.truncated_share <= 1:
            raise UsageError(f"truncated_share: expected a share from 0 to 1, found {self.truncated_share:g}")
        if self.level_lufs is not None and not -70 < self.level_lufs <= 0:
            raise UsageError(f"level_lufs: expected more than -70 and at most 0 LUFS, found {self.level_lufs:g}")

    @property
    def least_share(self) -> float:
        """Share of its promised length that must decode of a recording."""
        return 0.0 if self.keep_truncated else self.truncated_share

    def fingerprint(self) -> str:
        """Return the hash of this configuration and the code's version, 12 hex digits."""
        own: tuple[str, ...] = ()
        if self.denoise != "none":
            from features.decode import conditioning

            own = (conditioning.DenoiseConfig().fingerprint(),)
        return fingerprint(self, VERSION, *own)
