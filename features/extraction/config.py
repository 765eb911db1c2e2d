"""Feature configuration: the configurations of all steps, and the feature version that they determine."""

from dataclasses import dataclass, field

from data_contracts.fingerprint import fingerprint
from features.decode.config import AudioConfig
from features.dsp import suprasegmentals
from features.dsp.gemaps import EgemapsConfig
from features.dsp.mel import MelConfig
from features.segmentation.config import VadConfig
from features.segmentation.speaker_changes import ChangeConfig


@dataclass(frozen=True)
class FeatureConfig:
    """Every choice that changes the stored features. `logmel` and `lld` add optional frames for training models."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    changes: ChangeConfig = field(default_factory=ChangeConfig)
    egemaps: EgemapsConfig = field(default_factory=EgemapsConfig)
    mel: MelConfig = field(default_factory=MelConfig)
    logmel: bool = False
    lld: bool = False

    def fingerprints(self) -> dict[str, str]:
        """Return the digest of each feature set that a model may be trained on, by the set's name."""
        return {"egemaps": self.egemaps.fingerprint(), "suprasegmental": suprasegmentals.version(self.egemaps)}

    def version(self, *extractors: str) -> str:
        """Return the name of the feature store's `version=` folder.

        It is a digest of all steps' fingerprints and of the `extractors`, the digests of the models that are applied to
        audio: the speaker encoder's first, then that of an emotion model with an extractor of its own.
        """
        steps = (
            self.audio.fingerprint(),
            self.vad.fingerprint(),
            self.changes.fingerprint(),
            *self.fingerprints().values(),
        )
        frames = (self.mel.fingerprint() if self.logmel else "", "lld" if self.lld else "")
        return fingerprint(*steps, *frames, *extractors)
