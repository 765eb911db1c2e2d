"""Decision rule of a speaker model: evidence that two embeddings are of one voice, and how much of it is enough."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from data_contracts.records import ModelRef
from models.speaker.log_odds import LogOdds
from models.speaker.protocol import SpeakerEncoder

_SAME_SPEAKER = 1.0  # log odds that join voices of different recordings; see tests/bench/README.md
_SAME_VOICE = 0.0  # and utterances of one recording, in which few people speak


@dataclass(frozen=True)
class Decision:
    """Cosine `threshold` and calibration of a model: even odds at slope · cosine + offset = 0.

    With `log_odds` the evidence knows the durations compared, and thresholds are on it alone. `centre`, (dim,) or None,
    is the mean voice of the training.
    """

    threshold: float
    slope: float
    offset: float
    log_odds: LogOdds | None = None
    centre: np.ndarray | None = field(default=None, compare=False)

    @classmethod
    def from_model(cls, model: ModelRef) -> Self:
        """Return the decision rule of a registered speaker model."""
        told = model.metadata
        slope, offset = map(float, told["calibration"])
        log_odds = LogOdds.from_dict(told["log_odds"]) if told.get("log_odds") else None
        centre = np.asarray(told["centre"], np.float32) if told.get("centre") else None
        return cls(float(told["threshold"]), slope, offset, log_odds, centre)

    @classmethod
    def from_encoder(cls, model: SpeakerEncoder) -> Self:
        """Return the decision rule of a loaded speaker model."""
        return cls(model.threshold, *model.calibration, getattr(model, "log_odds", None), model.centre)

    def own_centre(self, dim: int) -> np.ndarray:
        """Return the centre of the training's voices, (dim,) float32; zeros of a model without one."""
        return np.zeros(dim, np.float32) if self.centre is None else np.asarray(self.centre, np.float32)

    def evidence(
        self,
        cosines: np.ndarray,  # (…)
        seconds_1: np.ndarray | float,  # (…) speech behind the first embedding of each pair
        seconds_2: np.ndarray | float,
    ) -> np.ndarray:  # (…) natural logarithm of the odds, at even prior odds
        """Return the evidence that pairs of embeddings are of one voice."""
        if self.log_odds is not None:
            return self.log_odds(cosines, np.asarray(seconds_1), np.asarray(seconds_2))
        slope, offset = self._line
        return np.asarray(slope * cosines + offset, np.float64)

    def probability(self, evidence: np.ndarray) -> np.ndarray:
        """Return the probabilities, in [0, 1], of (…) evidence."""
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(evidence, -60.0, 60.0))))

    @property
    def same_speaker(self) -> float:
        """Evidence that joins voices of different recordings: anybody may speak in them."""
        slope, offset = self._line
        return _SAME_SPEAKER if self.log_odds is not None else slope * self.threshold + offset

    @property
    def same_voice(self) -> float:
        """Evidence that joins utterances of one recording: even odds where durations are not known, or less."""
        return _SAME_VOICE if self.log_odds is not None else min(self.same_speaker, 0.0)

    @property
    def _line(self) -> tuple[float, float]:
        return (self.slope, self.offset) if self.slope > 0 else (1.0, -self.threshold)
