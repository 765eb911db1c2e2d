"""Configuration of voice activity detection, and the length of its chunks."""

from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from data_contracts.errors import UsageError
from data_contracts.fingerprint import fingerprint

_SILERO_VERSION = "vad-1"  # of `silero_vad`'s code
_ENERGY_VERSION = "energy-vad-1"  # of `energy_vad`'s code
CHUNK = 512  # samples, 32 ms: one probability each


@dataclass(frozen=True)
class VadConfig:
    """Thresholds of voice activity detection (`features.segmentation.segments`): probabilities and seconds.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    method: Literal["silero", "energy"] = "silero"  # computes the probabilities
    threshold: float = 0.5  # opens a segment
    release: float = 0.35  # closes it
    min_speech_s: float = 0.15  # with 0.25, one spoken digit in four is lost
    min_pause_s: float = 0.4
    pad_s: float = 0.1
    max_segment_s: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.release <= self.threshold <= 1:
            raise UsageError(f"expected 0 < release <= threshold <= 1, found {self.release} and {self.threshold}")
        if min(self.min_speech_s, self.min_pause_s, self.pad_s) < 0 or self.max_segment_s < 1:
            raise UsageError(f"expected times of 0 s or more and max_segment_s of 1 s or more, found {self}")

    def fingerprint(self) -> str:
        """Return a digest of this configuration, the code's version and the weights' wheel's, if any, 12 hex digits."""
        if self.method == "energy":
            return fingerprint(self, _ENERGY_VERSION)
        return fingerprint(self, _SILERO_VERSION, metadata.version("silero-vad"))
