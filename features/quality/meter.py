"""Meter of a recording's quality, fed block by block while it is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features.quality.bandwidth import BandwidthMeter
from features.quality.dual_mono import DualMonoDetector
from features.quality.loudness import LoudnessMeter
from features.quality.measures import db

_CLIPPED = 0.99


@dataclass
class Meter:
    """Meter of all blocks of a recording; memory grows by a float each 100 ms alone."""

    sample_rate_hz: int
    n_channels: int
    n_frames: int = 0
    peak: float = 0.0
    analysed_peak: float = 0.0
    _n_clipped: int = 0
    _energy: float = 0.0
    _n_signals: int = 1
    _loudness: LoudnessMeter = field(init=False)
    _bandwidth: BandwidthMeter = field(init=False)
    _dual: DualMonoDetector = field(init=False)

    def __post_init__(self) -> None:
        self._loudness = LoudnessMeter(self.sample_rate_hz, self.n_channels)
        self._bandwidth = BandwidthMeter(self.sample_rate_hz)
        self._dual = DualMonoDetector(self.sample_rate_hz, self.n_channels)

    def add(self, block: np.ndarray, signals: Sequence[np.ndarray], mixed: np.ndarray) -> None:
        """Add a block of (frames, channels), the (frames,) signals analysed of it, and its (frames,) mix."""
        self.n_frames += len(block)
        self._n_signals = len(signals)
        self.peak = max(self.peak, _peak(block))
        if self.peak >= _CLIPPED:
            self._n_clipped += int((np.abs(block) >= _CLIPPED).sum())
        for signal in signals:
            self.analysed_peak = max(self.analysed_peak, _peak(signal))
            self._energy += float(np.square(signal, dtype=np.float64).sum())
        self._loudness.add(block)
        self._bandwidth.add(mixed)
        self._dual.add(block)

    @property
    def level_db(self) -> float:
        return db((self._energy / max(1, self.n_frames * self._n_signals)) ** 0.5)

    @property
    def clipped_share(self) -> float:
        return self._n_clipped / max(1, self.n_frames * self.n_channels)

    @property
    def is_dual_mono(self) -> bool:
        return self._dual.is_dual_mono()

    @property
    def loudness_lufs(self) -> float | None:
        return self._loudness.integrated_lufs()

    @property
    def bandwidth_hz(self) -> float | None:
        return self._bandwidth.bandwidth_hz()


def _peak(values: np.ndarray) -> float:
    """Return the largest magnitude; NaN where there is one."""
    return max(float(values.max()), -float(values.min())) if values.size else 0.0
